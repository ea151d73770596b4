package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.array.DType;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof.Print;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What stands in the folder that convert-moe writes. */
class ConvertedFolderTest {
  private static final double RANGE = 0.02;

  @TempDir Path folder;

  private Converted convert(String architecture, String source, Object... more) {
    return Converted.by(architecture, Converted.golden(source), folder.resolve("out"), more);
  }

  @Test
  void theReceiptSaysWhatBecameOfEachTensor() {
    Converted moiie = convert("moiie", "src_phi3");
    JsonNode receipt = moiie.receipt();
    assertThat(receipt.get("formatVersion").intValue()).isEqualTo(1);
    assertThat(receipt.get("from").textValue()).isEqualTo("phi3");
    assertThat(receipt.get("to").textValue()).isEqualTo("bunny-mm-phi3-moe-s");
    assertThat(receipt.get("layers").toString()).isEqualTo("[1,3]");
    assertThat(receipt.get("copied").intValue()).isEqualTo(27 - 4);
    assertThat(receipt.get("cloned").intValue()).isEqualTo(4 * 4);
    assertThat(receipt.get("drawn")).isEmpty();
    assertThat(receipt.get("dropped")).isEmpty();
    SortedMap<String, Print> dense = new Converted(Converted.golden("src_phi3")).tensors();
    SortedMap<String, Print> mixture = moiie.tensors();
    assertThat(receipt.get("clones").properties()).hasSize(4);
    for (var clones : receipt.get("clones").properties()) {
      String sha256 = clones.getValue().get("sha256").textValue();
      assertThat(sha256).isEqualTo(dense.get(clones.getKey()).sha256());
      assertThat(clones.getValue().get("names")).hasSize(4);
      for (JsonNode name : clones.getValue().get("names")) {
        assertThat(mixture.get(name.textValue()).sha256()).isEqualTo(sha256);
      }
    }
  }

  @Test
  void theReceiptOfTheWayBackNamesWhatWasDropped() {
    Converted moiie = convert("moiie", "src_phi3", "--write-routers");
    assertThat(moiie.receipt().get("drawn")).hasSize(2 * 2);
    Ran ran = Converted.run("dense", moiie.folder(), folder.resolve("back"));
    assertThat(ran.out()).contains("23 tensors copied, 4 cloned from 4, 0 drawn, 16 dropped");
    JsonNode receipt = new Converted(folder.resolve("back")).receipt();
    assertThat(receipt.get("copied").intValue()).isEqualTo(23);
    assertThat(receipt.get("cloned").intValue()).isEqualTo(4);
    List<String> dropped = texts(receipt.get("dropped"));
    assertThat(dropped)
        .hasSize(2 * (3 * 2 + 2))
        .contains(
            "model.layers.1.mlp.gate_vis.weight", "model.layers.3.mlp.experts.0.down_proj.weight")
        .noneMatch(name -> name.contains("experts.1."));
  }

  private static List<String> texts(JsonNode list) {
    return StreamSupport.stream(list.spliterator(), false).map(JsonNode::textValue).toList();
  }

  @ParameterizedTest
  @CsvSource({
    "moiie, src_phi3, F32, 3, 3",
    "moiie, src_llama, BF16, 3, 3",
    "vanilla-moe, src_llama, BF16, 4, 0",
    "routed-modality-moe, src_phi3, F32, 4, 4"
  })
  void writtenRoutersAreDrawnInTheSourcesType(
      String architecture, String source, DType dtype, int text, int vision) {
    Converted got = convert(architecture, source, "--write-routers");
    var values = new ArrayList<Float>();
    try (WeightSource weights = CheckpointFolder.open(got.folder())) {
      for (int layer : List.of(1, 3)) {
        values.addAll(router(weights, layer, "gate", dtype, text));
        if (vision > 0) {
          values.addAll(router(weights, layer, "gate_vis", dtype, vision));
        }
      }
    }
    assertThat(values.stream().distinct().count()).isGreaterThan(values.size() * 3L / 4);
    double mean = values.stream().mapToDouble(v -> v).average().orElseThrow();
    double spread = Math.sqrt(values.stream().mapToDouble(v -> v * v).average().orElseThrow());
    // four standard errors
    assertThat(mean).isEqualTo(0, within(4 * RANGE / Math.sqrt(values.size())));
    assertThat(spread).isEqualTo(RANGE, within(4 * RANGE / Math.sqrt(2.0 * values.size())));
  }

  private static List<Float> router(
      WeightSource weights, int layer, String name, DType dtype, int experts) {
    TensorData router = weights.tensor("model.layers.%d.mlp.%s.weight".formatted(layer, name));
    assertThat(router.dtype()).isEqualTo(dtype);
    assertThat(router.shape()).containsExactly(experts, 16);
    var values = new ArrayList<Float>();
    for (float value : router.floats()) {
      values.add(value);
    }
    return values;
  }

  @Test
  void theSeedAloneDecidesTheRouters() throws IOException {
    byte[][] files = new byte[3][];
    for (int i = 0; i < 3; i++) {
      Path out = folder.resolve("out" + i);
      Converted.by(
          "moiie", Converted.golden("src_phi3"), out, "--write-routers", "--seed", i == 2 ? 2 : 1);
      files[i] = Files.readAllBytes(out.resolve("model.safetensors"));
    }
    assertThat(files[1]).isEqualTo(files[0]);
    assertThat(files[2]).isNotEqualTo(files[0]);
  }

  @Test
  void tokenizerAndGenerationFilesGoAlongAndNothingElseDoes() throws IOException {
    Path source = Converted.source("src_phi3", folder.resolve("source"));
    List<String> companions =
        List.of(
            "tokenizer.json",
            "tokenizer.model",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
            "generation_config.json");
    for (String name : companions) {
      Files.writeString(source.resolve(name), name + "\n");
    }
    Files.writeString(source.resolve("training_args.bin"), "not read");
    Converted got = Converted.by("moiie", source, folder.resolve("deeper/out"));
    var wanted = new ArrayList<>(companions);
    wanted.addAll(List.of("config.json", "conversion.json", "model.safetensors"));
    assertThat(got.files()).containsExactlyInAnyOrderElementsOf(wanted);
    for (String name : companions) {
      assertThat(got.folder().resolve(name)).hasContent(name + "\n");
    }
  }

  @Test
  void everyFieldOfTheSourceIsCarriedOn() throws IOException {
    Path source = Converted.source("src_llama", folder.resolve("source"));
    ObjectNode config = Converted.config(source);
    config.put("mm_vision_tower", "siglip").put("num_experts", 9).put("unheard_of", 1.5);
    config.putObject("auto_map").put("AutoConfig", "x.Y");
    config.withArray("architectures").add("Second");
    Converted.JSON.writeValue(source.resolve("config.json").toFile(), config);
    ObjectNode got = Converted.by("modality-moe", source, folder.resolve("out")).config();
    config.remove("num_experts"); // left over from some mixture; a modality model counts none
    config.put("model_type", "bunny-llama-m");
    config.putArray("architectures").add("BunnyLlamaMMForCausalLM").add("Second");
    assertThat(got).isEqualTo(config);
  }

  @Test
  void fieldsThatThePublishedConverterLeftEmptyHaveTheirClassesDefaults() throws IOException {
    Path moiie = convert("moiie", "src_phi3").folder();
    ObjectNode config = Converted.config(moiie);
    config.putNull("num_experts").putNull("num_experts_per_tok").putNull("moe_layers");
    Converted.JSON.writeValue(moiie.resolve("config.json").toFile(), config);
    assertThat(Converted.by("dense", moiie, folder.resolve("back"), "--expert", 3).tensors())
        .isEqualTo(new Converted(Converted.golden("src_phi3")).tensors());
  }

  @Test
  void towersAndProjectorsAreNoFeedForwardNetworksOfTheDecoder() throws IOException {
    Path source = Converted.source("src_phi3", folder.resolve("source"));
    List<String> others =
        List.of(
            "model.vision_tower.vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight",
            "model.mm_projector.0.weight");
    Converted.add(source, others);
    SortedMap<String, Print> before = new Converted(source).tensors();
    SortedMap<String, Print> after = Converted.by("moiie", source, folder.resolve("out")).tensors();
    assertThat(before.keySet()).containsAll(others);
    others.forEach(name -> assertThat(after.get(name)).isEqualTo(before.get(name)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"20KB", "20000", "20kb"})
  void shardsAreNoLargerThanAskedForAndTheIndexNamesEachTensorOnce(String size) {
    Converted got = convert("moiie", "src_llama", "--max-shard-size", size);
    assertThat(got.files())
        .contains(
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json")
        .doesNotContain("model.safetensors");
    ObjectNode index = Converted.json(got.folder().resolve("model.safetensors.index.json"));
    assertThat(index.at("/metadata/total_size").longValue()).isEqualTo(35616);
    assertThat(texts(index.get("weight_map")).stream().distinct()).hasSize(2);
    assertThat(index.get("weight_map").size()).isEqualTo(57);
  }
}
