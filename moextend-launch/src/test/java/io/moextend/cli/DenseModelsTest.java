package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models of the dense families, from a shape to an answer. */
class DenseModelsTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int VOCABULARY = 480; // of the tiny tokenizer

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "hf_llama, llama, model.layers.1.mlp.gate_proj.weight",
    "hf_llama31, llama, model.layers.1.mlp.gate_proj.weight",
    "hf_mistral, mistral, model.layers.1.self_attn.k_proj.weight",
    "hf_qwen2, qwen2, model.layers.1.self_attn.k_proj.bias",
    "hf_phi3, phi3, model.layers.1.self_attn.qkv_proj.weight",
    "hf_phi3_longrope, phi3, model.layers.1.mlp.gate_up_proj.weight"
  })
  void aRandomOneIsInspectedTracedAndAsked(String golden, String type, String tensor)
      throws IOException {
    ObjectNode config = (ObjectNode) tree(Golden.path("hf/" + golden + "/config.json"));
    Path model = random(config.put("vocab_size", VOCABULARY));
    JsonNode facts = JSON.readTree(ran("inspect", "--json", "--tensors", "--model", model).out());
    assertThat(facts.at("/architecture/type").asText()).isEqualTo(type);
    assertThat(facts.get("tensors").has(tensor)).isTrue();
    assertThat(facts.get("parameters").has("backbone")).isTrue();
    assertThat(facts.get("vision")).isNull();

    Path traced = folder.resolve("traced.safetensors");
    ran(
        "trace",
        "--model",
        model,
        "--inputs",
        Golden.path("hf/" + golden + "/inputs.safetensors"),
        "--output",
        traced,
        "--gradients");
    try (WeightSource out = SafetensorsFile.open(traced)) {
      assertThat(out.names()).contains("logits", "loss", "hidden_states.2", "grad." + tensor);
      assertThat(out.tensor("logits").shape()).containsExactly(2, 20, VOCABULARY);
      float[] gradient = out.tensor("grad." + tensor).floats();
      double sum = 0;
      for (float g : gradient) {
        sum += Math.abs(g);
      }
      assertThat(sum).isFinite().isPositive();
    }
    Ran answer =
        ran("generate", "--model", model, "--prompt", "What is this?", "--max-new-tokens", 20);
    assertThat(answer.err()).contains("tokens/s");
  }

  @ParameterizedTest
  @ValueSource(strings = {"hf_qwen2", "hf_phi3_longrope"})
  void inBf16ItAnswersToo(String golden) throws IOException {
    ObjectNode config = (ObjectNode) tree(Golden.path("hf/" + golden + "/config.json"));
    Path model = random(config.put("vocab_size", VOCABULARY));
    Ran answer =
        ran(
            "generate",
            "--model",
            model,
            "--prompt",
            "What is this?",
            "--max-new-tokens",
            20,
            "--dtype",
            "bf16");
    assertThat(answer.err()).contains("tokens/s");
  }

  @Test
  void aBunnyHasItsTowerAndItsProjectorUnderItsOwnNames() throws IOException {
    ObjectNode config = (ObjectNode) tree(Golden.path("moiie/stage1_dense_phi3/config.json"));
    config.put("vocab_size", VOCABULARY);
    config.set("vision_config", tree(Golden.path("moextend/clip_tiny/config.json")));
    Path model = random(config, Golden.path("moiie/tokenizers/tok_phi3"));
    JsonNode facts = JSON.readTree(ran("inspect", "--json", "--tensors", "--model", model).out());
    assertThat(facts.at("/architecture/type").asText()).isEqualTo("bunny-phi3");
    assertThat(facts.at("/vision/feature layer").asInt()).isEqualTo(-2);
    assertThat(facts.get("tensors").has("model.mm_projector.2.bias")).isTrue();
    assertThat(facts.at("/parameters/projector/tensors").asInt()).isEqualTo(4);
    assertThat(facts.at("/parameters/vision tower/tensors").asInt()).isPositive();
  }

  private Path random(ObjectNode config) throws IOException {
    return random(config, Golden.path("moextend/tokenizer_tiny"));
  }

  private Path random(ObjectNode config, Path tokenizer) throws IOException {
    Path shape = Files.writeString(folder.resolve("shape.json"), config.toString());
    Path model = folder.resolve("model");
    ran("random-model", "--config", shape, "--tokenizer", tokenizer, "--output", model);
    assertThat(tree(model.resolve("config.json"))).isEqualTo(config);
    return model;
  }

  private static Ran ran(Object... words) {
    Ran ran = Ran.moextend(words);
    assertThat(ran.code()).as(ran.err()).isZero();
    return ran;
  }

  private static JsonNode tree(Path file) throws IOException {
    return JSON.readTree(file.toFile());
  }
}
