package io.moextend.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.backend.Activation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class T5ConfigTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir Path folder;

  @Test
  void everyFieldIsUnderstood() {
    assertThat(HuggingFaceConfig.read(Golden.path("mov/t5_base")).t5())
        .isEqualTo(T5Config.v11(128, 32, 8, 4, 64, 2, 2));
    T5Config other = HuggingFaceConfig.read(Golden.path("hf/hf_t5")).t5();
    assertThat(other.buckets()).isEqualTo(8);
    assertThat(other.maxDistance()).isEqualTo(20);
    assertThat(other.inner()).isEqualTo(32);
    assertThat(other.tokens()).isEqualTo(T5Config.SpecialTokens.USUAL);
  }

  @ParameterizedTest
  @ValueSource(strings = {"hf/hf_t5", "hf/hf_t5_v10", "mov/t5_base", "mov/molora"})
  void aConfigIsWrittenBackFieldForField(String name) throws IOException {
    var config = HuggingFaceConfig.read(Golden.path(name));
    config.with(config.model()).write(folder.resolve("config.json"));
    assertThat(JSON.readTree(folder.resolve("config.json").toFile()))
        .isEqualTo(JSON.readTree(Golden.path(name + "/config.json").toFile()));
    HuggingFaceConfig.of(config.model()).write(folder.resolve("config.json"));
    assertThat(HuggingFaceConfig.read(folder).t5()).isEqualTo(config.t5());
  }

  /** What transformers up to 4 and from 5 on write of both versions. */
  @ParameterizedTest(name = "tied {0}, scaled {1}: tied {2}, scaled {3}")
  @CsvSource({
    "false, , false, false",
    "true, , true, true",
    ", , true, true",
    "true, false, true, false",
    "true, true, true, true",
    "false, true, false, true"
  })
  void whetherTheHeadIsScaledIsNotWhetherItIsTied(
      String tied, String scaled, boolean isTied, boolean isScaled) throws IOException {
    Path file =
        edited(
            json -> {
              set(json, "tie_word_embeddings", tied);
              set(json, "scale_decoder_outputs", scaled);
            });
    T5Config config = HuggingFaceConfig.read(file).t5();
    assertThat(config.tiedHead()).isEqualTo(isTied);
    assertThat(config.scaledHead()).isEqualTo(isScaled);
    HuggingFaceConfig.of(config).write(file);
    assertThat(HuggingFaceConfig.read(file).t5()).isEqualTo(config);
  }

  private static void set(ObjectNode json, String field, String value) {
    json.remove(field);
    if (value != null) {
      json.put(field, Boolean.parseBoolean(value));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "gated-gelu, GELU_TANH, true",
    "gated-silu, SILU, true",
    "gated-relu, RELU, true",
    "relu, RELU, false",
    "gelu, GELU, false",
    "gelu_new, GELU_TANH, false"
  })
  void everyPublishedNetworkIsKnown(String projection, Activation activation, boolean gated)
      throws IOException {
    Path file =
        edited(
            json -> {
              json.put("feed_forward_proj", projection);
              json.remove("dense_act_fn");
            });
    T5Config config = HuggingFaceConfig.read(file).t5();
    assertThat(config.activation()).isEqualTo(activation);
    assertThat(config.gated()).isEqualTo(gated);
    HuggingFaceConfig.of(config).write(file);
    assertThat(HuggingFaceConfig.read(file).t5()).isEqualTo(config);
  }

  @Test
  void fieldsThatOldFilesLackHaveHuggingFacesValues() throws IOException {
    Path file =
        edited(
            json -> {
              json.remove("relative_attention_max_distance");
              json.remove("num_decoder_layers");
              json.remove("layer_norm_epsilon");
              json.put("relative_attention_num_buckets", 32);
            });
    T5Config config = HuggingFaceConfig.read(file).t5();
    assertThat(config.maxDistance()).isEqualTo(128);
    assertThat(config.decoderLayers()).isEqualTo(2);
    assertThat(config.normEps()).isEqualTo(1e-6);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          d_model | 0 | at least 1
          d_ff | "2048" | whole number
          num_heads | null | is missing
          feed_forward_proj | "gated-mish" | known are relu
          dense_act_fn | "relu" | contradicts feed_forward_proj
          relative_attention_num_buckets | 6 | multiple of 4
          relative_attention_max_distance | 4 | above half
          is_encoder_decoder | false | only a whole T5
          quantization_config | {} | quantized weights are not read
          """)
  void aValueThatCannotBeUsedIsRefusedWithFileAndField(String field, String value, String mend)
      throws IOException {
    Path file = edited(json -> json.set(field, JSON.readTree(value)));
    assertThatThrownBy(() -> HuggingFaceConfig.read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("config.json: ")
        .hasMessageContaining(field)
        .hasMessageContaining(mend);
  }

  @Test
  void aT5IsNoDecoderAndADecoderNoT5() {
    var t5 = HuggingFaceConfig.read(Golden.path("hf/hf_t5"));
    assertThatThrownBy(t5::decoder).hasMessageContaining("a decoder-only language model is wanted");
    var llama = HuggingFaceConfig.read(Golden.path("hf/hf_llama"));
    assertThatThrownBy(llama::t5).hasMessageContaining("a T5 is wanted");
  }

  private interface Edit {
    void of(ObjectNode json) throws IOException;
  }

  private Path edited(Edit edit) throws IOException {
    var json = (ObjectNode) JSON.readTree(Golden.path("hf/hf_t5/config.json").toFile());
    edit.of(json);
    Path file = folder.resolve("config.json");
    Files.writeString(file, JSON.writeValueAsString(json));
    return file;
  }
}
