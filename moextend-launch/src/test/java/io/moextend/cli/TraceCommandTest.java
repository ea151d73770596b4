package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.GoldenComparison;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Reference cases by the command line alone: their folders, their files, their names. */
class TraceCommandTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final String TEXT_ONLY = "text_only.";

  @TempDir Path folder;

  private static Stream<Arguments> on(Stream<String> cases) {
    List<String> names = cases.toList();
    return Stream.of("cpu", "nd4j")
        .flatMap(backend -> names.stream().map(name -> Arguments.of(backend, name)));
  }

  static Stream<Arguments> whole() {
    return on(
        Stream.of(
            "moiie/moiie_phi3",
            "moiie/moiie_llama3",
            "moiie/vanilla_phi3",
            "moiie/modality_phi3",
            "moiie/routed_modality_phi3",
            "moiie/stage1_dense_phi3",
            "hf/hf_phi3",
            "hf/hf_llama",
            "hf/hf_siglip_vision"));
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("whole")
  void aReferenceCaseIsReproduced(String backend, String name) throws IOException {
    Path given = Golden.path(name);
    JsonNode optimizer = JSON.readTree(given.resolve("meta.json").toFile()).get("optimizer");
    var words =
        new ArrayList<Object>(
            List.of(
                "--gradients",
                "--adamw-steps",
                optimizer.get("steps").size(),
                "--learning-rate",
                optimizer.get("lr").asText(),
                "--weight-decay",
                optimizer.get("weight_decay").asText(),
                "--max-grad-norm",
                optimizer.path("max_grad_norm").asText("0")));
    if (name.startsWith("moiie/")) {
      words.addAll(List.of("--stage", name.contains("stage1") ? "pretrain" : "sft"));
    }
    Path traced = traced(backend, given, given.resolve("inputs.safetensors"), words.toArray());
    assertThat(wrong(traced, given, n -> !n.startsWith(TEXT_ONLY) && !rounding(n))).isEmpty();
  }

  /** Moves with rounding in the original itself: see the reference folder's README. */
  private static boolean rounding(String name) {
    return name.startsWith("after.")
        && (name.endsWith("k_proj.bias") || name.endsWith("head.attention.in_proj_bias"));
  }

  static Stream<Arguments> withText() {
    return on(Stream.of("moiie/moiie_phi3", "moiie/moiie_llama3", "moiie/routed_modality_phi3"));
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("withText")
  void itsBatchOfTextIsReadByItsPrefix(String backend, String name) throws IOException {
    Path given = Golden.path(name);
    Path traced =
        traced(backend, given, given.resolve("expected.safetensors"), "--prefix", TEXT_ONLY);
    assertThat(
            wrong(
                traced,
                given,
                n -> n.matches("text_only\\.(logits|loss|aux_loss_vis|aux_loss_lan)")))
        .isEmpty();
  }

  static Stream<Arguments> variants() {
    return on(Stream.of("plain", "window10", "su", "yarn"));
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("variants")
  void aPhi3WithAWindowOrStretchedPositionsIsReproduced(String backend, String variant)
      throws IOException {
    Path given = Golden.path("moiie/phi3_rope_window");
    JsonNode variants =
        JSON.readTree(given.resolve("meta.json").toFile())
            .get("variants (config overrides; max_position_embeddings 128)");
    Path model = model((ObjectNode) variants.get(variant));
    for (int length : new int[] {24, 44}) {
      String prefix = variant + "." + length + ".";
      Path inputs = folder.resolve(prefix + "inputs.safetensors");
      try (WeightSource file = SafetensorsFile.open(given.resolve("inputs.safetensors"))) {
        SafetensorsWriter.writeFile(
            inputs,
            Stream.of("input_ids", "attention_mask")
                .map(name -> cut(file.tensor(name).named(prefix + name), length))
                .map(TensorStream::of)
                .toList());
      }
      Path traced = traced(backend, model, inputs, "--prefix", prefix);
      assertThat(wrong(traced, given, n -> n.startsWith(prefix))).isEmpty();
    }
  }

  /** The first columns of a table. */
  private static TensorData cut(TensorData table, int length) {
    int width = (int) table.shape()[1];
    long[] from = table.longs();
    long[] values = new long[(int) table.shape()[0] * length];
    for (int i = 0; i < values.length; i++) {
      values[i] = from[i / length * width + i % length];
    }
    return TensorData.of(table.name(), new long[] {table.shape()[0], length}, values);
  }

  /** That of the first stage, which the variants are made of, with their options. */
  private Path model(ObjectNode options) throws IOException {
    Path from = Golden.path("moiie/stage1_dense_phi3");
    Path made = Files.createDirectories(folder.resolve("model"));
    ObjectNode config = (ObjectNode) JSON.readTree(from.resolve("config.json").toFile());
    config.setAll(options);
    config.set(
        "vision_config", JSON.readTree(Golden.path("moiie/siglip_tiny/config.json").toFile()));
    Files.writeString(made.resolve("config.json"), config.toString());
    Files.copy(from.resolve("model.safetensors"), made.resolve("model.safetensors"));
    return made;
  }

  static Stream<Arguments> towers() {
    return Stream.of("cpu", "nd4j")
        .flatMap(
            backend ->
                Stream.of(
                    Arguments.of(backend, "a.", "siglip_tiny", "28,56,84"),
                    Arguments.of(backend, "b.", "siglip_tiny_p14", "56,28")));
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("towers")
  void aTowerAtSeveralScalesIsReproduced(String backend, String prefix, String tower, String scales)
      throws IOException {
    Path given = Golden.path("moiie/s2");
    Path traced =
        traced(
            backend,
            Golden.path("moiie/" + tower),
            given.resolve("inputs.safetensors"),
            "--prefix",
            prefix,
            "--s2-scales",
            scales);
    assertThat(wrong(traced, given, n -> n.startsWith(prefix))).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void aTowerAtItsOwnSizeIsReproduced(String backend) throws IOException {
    Path given = Golden.path("moiie/s2");
    Path tower = Golden.path("moiie/siglip_tiny");
    Path inputs = given.resolve("inputs.safetensors");
    Path states = traced(backend, tower, inputs, "--prefix", "plain.");
    assertThat(wrong(states, given, n -> n.startsWith("plain.hidden_states."))).isEmpty();
    Path features = traced(backend, tower, inputs, "--prefix", "plain.", "--s2-scales", "28");
    assertThat(wrong(features, given, n -> n.equals("plain.features"))).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"moiie_phi3", "stage1_dense_phi3"})
  void whatTrainsIsReadFromACasesOwnList(String name) throws IOException {
    Path given = Golden.path("moiie").resolve(name);
    Path meta = given.resolve("meta.json");
    Path all =
        traced(
            "cpu", given, given.resolve("inputs.safetensors"), "--gradients", "--trainable", meta);
    assertThat(wrong(all, given, n -> n.startsWith("grad."))).isEmpty();
    assertThat(gradients(all))
        .containsExactlyInAnyOrderElementsOf(listed(JSON.readTree(meta.toFile())));
  }

  @Test
  void aListMayNameAPartOfARole() throws IOException {
    Path given = Golden.path("moiie/moiie_phi3");
    Path inputs = given.resolve("inputs.safetensors");
    String gate = "model.layers.3.mlp.gate.weight";
    String expert = "model.layers.1.mlp.experts.2.down_proj.weight";
    Path list = folder.resolve("list.json");
    Files.writeString(list, "{\"trainable\": [\"%s\", \"%s\"]}".formatted(gate, expert));
    Path some =
        traced(
            "cpu",
            given,
            inputs,
            "--gradients",
            "--adamw-steps",
            1,
            "--learning-rate",
            0.001,
            "--trainable",
            list);
    assertThat(gradients(some)).containsExactlyInAnyOrder(gate, expert);
    assertThat(wrong(some, given, Set.of("grad." + gate, "grad." + expert)::contains)).isEmpty();
    Files.writeString(list, "{\"trainable\": [\"model.layers.3.mlp.gate.bias\"]}");
    Ran ran =
        Ran.moextend(
            "trace",
            "--model",
            given,
            "--inputs",
            inputs,
            "--gradients",
            "--output",
            folder.resolve("none.safetensors"),
            "--trainable",
            list);
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err())
        .contains("--trainable", "model.layers.3.mlp.gate.bias, which the model does not have");
  }

  private static List<String> gradients(Path traced) {
    try (WeightSource file = SafetensorsFile.open(traced)) {
      return file.names().stream()
          .filter(name -> name.startsWith("grad."))
          .map(name -> name.substring("grad.".length()))
          .toList();
    }
  }

  private static List<String> listed(JsonNode meta) {
    return meta.get("trainable").valueStream().map(JsonNode::asText).toList();
  }

  @Test
  void aFileWithoutARecordedChoiceIsRefused() {
    Path given = Golden.path("moiie/moiie_llama3");
    Ran ran =
        Ran.moextend(
            "trace",
            "--model",
            given,
            "--inputs",
            given.resolve("inputs.safetensors"),
            "--selected-experts",
            given.resolve("inputs.safetensors"),
            "--output",
            folder.resolve("traced.safetensors"));
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("inputs.safetensors: has no selected_experts.0");
  }

  private Path traced(String backend, Path model, Path inputs, Object... more) throws IOException {
    Path out = Files.createTempDirectory(folder, "out").resolve("traced.safetensors");
    var words =
        new ArrayList<Object>(
            List.of("trace", "--backend", backend, "--model", model, "--inputs", inputs));
    words.addAll(List.of("--output", out));
    words.addAll(List.of(more));
    Ran ran = Ran.moextend(words.toArray());
    assertThat(ran.code()).as(ran.err()).isZero();
    return out;
  }

  private static Map<String, String> wrong(Path traced, Path given, Predicate<String> wanted) {
    try (WeightSource got = SafetensorsFile.open(traced);
        WeightSource expected = SafetensorsFile.open(given.resolve("expected.safetensors"))) {
      assertThat(expected.names()).anyMatch(wanted);
      return GoldenComparison.wrong(
          got.names().stream().map(got::tensor).toList(), expected, wanted);
    }
  }
}
