package io.moextend.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** config.json of models whose dense layers became mixtures. */
class MixedConfigTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir Path folder;

  static Stream<Arguments> cases() {
    return Stream.of(
        Arguments.of("moiie_llama3", new Scheme.Moiie(4, 2, 0.001, 0.001, 0)),
        Arguments.of("moiie_phi3", new Scheme.Moiie(4, 2, 0.001, 0.001, 0)),
        Arguments.of("vanilla_phi3", new Scheme.Vanilla(4, 2, 0.001, 0)),
        Arguments.of("modality_phi3", new Scheme.Modality()),
        Arguments.of("routed_modality_phi3", new Scheme.RoutedModality(3, 4, 2, 0.001, 0.001)));
  }

  /** A published file, without what it says of images. */
  private static ObjectNode published(String name) throws IOException {
    Path file = Golden.path("moiie").resolve(name).resolve(HuggingFaceConfig.FILE);
    var json = (ObjectNode) JSON.readTree(file.toFile());
    json.remove(
        json.properties().stream().map(f -> f.getKey()).filter(f -> f.startsWith("mm_")).toList());
    return json;
  }

  private HuggingFaceConfig read(ObjectNode json) throws IOException {
    Files.writeString(folder.resolve(HuggingFaceConfig.FILE), json.toString());
    return HuggingFaceConfig.read(folder);
  }

  private static Scheme scheme(HuggingFaceConfig config) {
    return ((FeedForwardConfig.Mixed) config.decoder().feedForward()).scheme();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void publishedFilesAreReadAndSayTheSameWhenWritten(String name, Scheme scheme)
      throws IOException {
    HuggingFaceConfig read = read(published(name));
    assertThat(read.decoder().feedForward())
        .isEqualTo(new FeedForwardConfig.Mixed(48, new TreeSet<>(List.of(1, 3)), scheme));
    HuggingFaceConfig written = HuggingFaceConfig.of(read.decoder());
    assertThat(written.decoder()).isEqualTo(read.decoder());
    assertThat(written.json().get("architectures")).isEqualTo(read.json().get("architectures"));
    assertThat(written.json().has("moe_layers")).isFalse();
    // Phi-3's one-gate model alone has no such noise
    assertThat(written.json().has("router_jitter_noise"))
        .isEqualTo(scheme instanceof Scheme.Moiie || scheme instanceof Scheme.Vanilla);
  }

  @Test
  void absentFieldsAreThoseOfThePublishedClasses() throws IOException {
    List<String> fields =
        List.of(
            "num_experts",
            "num_vis_experts",
            "num_lan_experts",
            "num_experts_per_tok",
            "vis_router_aux_loss_coef",
            "lan_router_aux_loss_coef",
            "router_aux_loss_coef",
            "output_vis_router_logits",
            "output_lan_router_logits",
            "output_router_logits",
            "router_jitter_noise");
    assertThat(scheme(read(published("moiie_llama3").remove(fields))))
        .isEqualTo(new Scheme.Moiie(4, 2, 0.001, 0.001, 0));
    assertThat(scheme(read(published("vanilla_phi3").remove(fields))))
        .isEqualTo(new Scheme.Vanilla(4, 2, 0.001, 0));
    assertThat(scheme(read(published("routed_modality_phi3").remove(fields))))
        .as("its losses are off")
        .isEqualTo(new Scheme.RoutedModality(4, 4, 2, 0, 0));
  }

  @Test
  void aLossThatIsOffWeighsNothing() throws IOException {
    ObjectNode json = published("moiie_llama3").put("output_vis_router_logits", false);
    assertThat(scheme(read(json))).isEqualTo(new Scheme.Moiie(4, 2, 0, 0.001, 0));
  }

  @Test
  void otherLayersThanTheOddOnesAreNamed() throws IOException {
    ObjectNode json = published("moiie_llama3");
    json.putArray("moe_layers").add(2).add(3);
    HuggingFaceConfig read = read(json);
    assertThat(((FeedForwardConfig.Mixed) read.decoder().feedForward()).layers())
        .containsExactly(2, 3);
    assertThat(HuggingFaceConfig.of(read.decoder()).json().get("moe_layers").toString())
        .isEqualTo("[2,3]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          moiie_llama3 | num_experts | 6 | num_experts=6: must be a multiple of 4
          moiie_llama3 | num_experts | 0 | num_experts
          moiie_llama3 | num_experts_per_tok | 4 | num_experts_per_tok=4: must be between 1 and 3/4 of num_experts=3
          moiie_llama3 | router_jitter_noise | 1 | router_jitter_noise
          moiie_llama3 | vis_router_aux_loss_coef | -1 | vis_router_aux_loss_coef
          vanilla_phi3 | num_experts_per_tok | 5 | must be between 1 and num_experts=4
          routed_modality_phi3 | num_experts_per_tok | 4 | num_vis_experts and num_lan_experts=3
          moiie_llama3 | moe_layers | [4] | beyond num_hidden_layers=4
          moiie_llama3 | moe_layers | [] | at least one layer
          """)
  void whatCannotBeIsRefusedByName(String name, String field, String value, String message)
      throws IOException {
    ObjectNode json = published(name);
    json.set(field, JSON.readTree(value));
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(HuggingFaceConfig.FILE)
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "mixtral"})
  void noiseIsStillRefusedWhereAModelHasNone(String type) throws IOException {
    ObjectNode json = published("moiie_llama3").put("model_type", type);
    json.put("router_jitter_noise", 0.1);
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("router_jitter_noise");
  }
}
