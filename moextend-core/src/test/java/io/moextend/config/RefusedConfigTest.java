package io.moextend.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RefusedConfigTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "model_type",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
        "rms_norm_eps",
        "rope_theta",
        "hidden_act",
        "num_local_experts",
        "num_experts_per_tok",
        "visual.image_start_id",
        "vision_config.hidden_size",
        "vision_config.patch_size",
        "vision_config.num_attention_heads"
      })
  void aMissingFieldIsNamed(String field) throws IOException {
    assertThatThrownBy(() -> read(edited(field, null)))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("config.json: " + field + " is missing");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          model_type | "gpt2" | known are
          model_type | 7 | text
          vocab_size | "480" | whole number
          vocab_size | 480.0 | whole number
          vocab_size | 0 | at least 1
          vocab_size | 4294967296 | whole number
          hidden_size | -32 | at least 1
          hidden_size | true | whole number
          hidden_size | [32] | whole number
          num_hidden_layers | 1 | beyond num_hidden_layers=1
          num_attention_heads | 5 | must divide hidden_size=32
          num_key_value_heads | 3 | must divide num_attention_heads=4
          rms_norm_eps | "1e-5" | number above 0
          rms_norm_eps | 0 | number above 0
          rms_norm_eps | 1e999 | number above 0
          rope_theta | -1 | number above 0
          rope_scaling | {"type":"linear","factor":2} | only null is supported
          rope_parameters | {"rope_theta":1e6,"rope_type":"yarn"} | only "default" is supported
          sliding_window | 0 | at least 1
          sliding_window | "4096" | whole number
          tie_word_embeddings | 1 | true or false
          hidden_act | "gelu" | only "silu" is supported
          attention_bias | true | only false is supported
          mlp_bias | true | only false is supported
          attention_dropout | 0.1 | only 0.0 is supported
          router_jitter_noise | 0.1 | only 0.0 is supported
          quantization_config | {"bits":4} | quantized weights are not read
          num_experts_per_tok | 9 | between 1 and num_local_experts=8
          num_local_experts | 1 | at least 2
          add_layer | [0, 3] | beyond num_hidden_layers=3
          add_layer | [0, 0] | name 0 once
          add_layer | [-1] | whole numbers from 0
          add_layer | ["0"] | whole numbers
          add_layer | 0 | list of whole numbers
          eos_token_id | ["2"] | whole number
          eos_token_id | [] | whole number
          pad_token_id | -1 | at least 0
          visual | 440 | object in braces
          visual.image_start_id | 478 | must lie below vocab_size=480
          visual.image_start_id | -1 | at least 0
          vision_config | [] | object in braces
          vision_config.model_type | "eva" | known vision towers are clip_vision_model
          vision_config.hidden_act | "mish" | known are quick_gelu
          vision_config.num_attention_heads | 7 | must divide hidden_size=24
          vision_config.patch_size | 25 | must be between 1 and image_size=24
          vision_config.attention_dropout | 0.5 | only 0.0 is supported
          mm_projector_type | "resampler" | known projectors are linear, mlp1x_gelu
          mm_projector_type | "spp" | known projectors are linear, mlp1x_gelu
          mm_projector_type | "mlp0x_gelu" | known projectors are linear, mlp1x_gelu
          mm_vision_grid | 0 | at least 1
          mm_vision_tower_aux | "vae" | a second tower is not built
          mm_hidden_size | 1024 | the vision tower's hidden_size is 24
          mm_vision_select_layer | 1 | must be between -1 and -3
          mm_vision_select_layer | -4 | must be between -1 and -3
          mm_vision_select_feature | "cls_patch" | only "patch" is supported
          """)
  void aValueThatCannotBeUsedIsRefusedWithFileAndField(String field, String value, String mend)
      throws IOException {
    String last = field.substring(field.lastIndexOf('.') + 1);
    assertThatThrownBy(() -> read(edited(field, value)))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("config.json: ")
        .hasMessageContaining(mend)
        .satisfies(
            e ->
                assertThat(String.valueOf(e.getMessage()))
                    .containsAnyOf(last, "add_layer", "rope_parameters.rope_type"));
  }

  @Test
  void anotherTowerNeedsItsOwnConfig() throws IOException {
    edited("vision_config", null);
    Path file = edit("mm_vision_tower", "\"facebook/convnext\"", "mm_hidden_size");
    assertThatThrownBy(() -> read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("mm_vision_tower")
        .hasMessageContaining("needs its vision_config");
  }

  @Test
  void fieldsWeDoNotKnowAreTolerated() throws IOException {
    assertThat(read(edited("some_future_field", "{\"a\":[1,null]}")).decoder().layers())
        .isEqualTo(3);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"model_type": "llama" | is no JSON
          {"model_type": "llama"} {} | is no JSON
          {"model_type": "llama", "model_type": "mixtral"} | is no JSON
          ["llama"] | is no JSON object
          `` | is no JSON object
          {} | model_type is missing
          """)
  void aFileThatIsNoConfigIsNamed(String text, String problem) throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), text);
    assertThatThrownBy(() -> read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(problem);
  }

  @Test
  void anAbsentFileIsNamed() {
    assertThatThrownBy(() -> read(folder))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("config.json")
        .hasMessageContaining("is this the folder of a model?");
  }

  @Test
  void aModelThatNoFileCanSayIsRefusedWhenItIsWritten() {
    DecoderConfig llama = HuggingFaceConfig.read(Golden.path("hf/hf_llama")).decoder();
    var windowed =
        new DecoderConfig(
            "llama",
            llama.vocab(),
            llama.hidden(),
            llama.layers(),
            llama.heads(),
            llama.rope(),
            16,
            llama.normEps(),
            llama.initializerRange(),
            llama.tiedHead(),
            llama.feedForward(),
            llama.tokens(),
            null);
    assertThatThrownBy(() -> HuggingFaceConfig.of(windowed))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("cannot say");
  }

  private static HuggingFaceConfig read(Path file) {
    return HuggingFaceConfig.read(file);
  }

  /** The extended golden config with one field set, or removed where the value is null. */
  private Path edited(String field, @org.jspecify.annotations.Nullable String value)
      throws IOException {
    ObjectNode json =
        (ObjectNode) JSON.readTree(Golden.path("moextend/moextend_ft/config.json").toFile());
    int dot = field.indexOf('.');
    ObjectNode inside = dot < 0 ? json : (ObjectNode) json.get(field.substring(0, dot));
    String name = field.substring(dot + 1);
    if (value == null) {
      inside.remove(name);
    } else {
      inside.set(name, JSON.readTree(value));
    }
    return Files.writeString(folder.resolve("config.json"), json.toString());
  }

  /** One more change to the file that {@link #edited} left. */
  private Path edit(String field, String value, String removed) throws IOException {
    Path file = folder.resolve("config.json");
    ObjectNode json = (ObjectNode) JSON.readTree(file.toFile());
    json.set(field, JSON.readTree(value));
    json.remove(removed);
    return Files.writeString(file, json.toString());
  }
}
