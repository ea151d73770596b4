package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.GoldenComparison;
import io.moextend.HeldTensors;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.OpenModel;
import io.moextend.stage.Stage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every number of the reference cases of MoIIE, from pixels and unwidened ids to the weights after
 * three steps, in f32.
 */
class MoiieTraceTest {
  private static final String GRADIENT = "grad.model.embed_tokens.weight";
  private static final String TEXT_ONLY = "text_only.";
  private static final int IMAGE = -200;
  private static final int PATCHES = 16;

  static Stream<Arguments> cases() {
    Map<String, Stage> stages =
        Map.of(
            "moiie_phi3", Stage.FULL,
            "moiie_llama3", Stage.FULL,
            "vanilla_phi3", Stage.FULL,
            "modality_phi3", Stage.FULL,
            "routed_modality_phi3", Stage.FULL,
            "stage1_dense_phi3", Stage.ALIGNMENT);
    return stages.entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .flatMap(
            c ->
                Stream.of(
                    Arguments.of("cpu", c.getKey(), c.getValue(), false),
                    Arguments.of("cpu", c.getKey(), c.getValue(), true),
                    // that without checkpointing: TraceCommandTest
                    Arguments.of("nd4j", c.getKey(), c.getValue(), true)));
  }

  @ParameterizedTest(name = "{1} on {0}, checkpointing {3}")
  @MethodSource("cases")
  void everyTensorOfTheReferenceCaseIsReproduced(
      String backend, String name, Stage stage, boolean checkpointing) throws IOException {
    TraceRequest request = training(name, stage, checkpointing);
    try (WeightSource inputs = file(name, "inputs");
        WeightSource expected = file(name, "expected")) {
      List<TensorData> traced = trace(backend, name, inputs, request);
      assertThat(GoldenComparison.wrong(traced, expected, n -> !n.startsWith(TEXT_ONLY))).isEmpty();
      assertThat(traced.stream().map(TensorData::name))
          .as("what trains in the original and nothing else")
          .filteredOn(n -> n.startsWith("grad.") || n.startsWith("after."))
          .isNotEmpty()
          .isSubsetOf(expected.names());
    }
  }

  @ParameterizedTest(name = "{1} on {0}")
  @CsvSource({
    "cpu, moiie_phi3", "cpu, moiie_llama3", "cpu, routed_modality_phi3",
    "nd4j, moiie_phi3", "nd4j, moiie_llama3", "nd4j, routed_modality_phi3"
  })
  void aBatchWithoutImagesHasNoVisionLoss(String backend, String name) {
    try (WeightSource inputs = file(name, "inputs");
        WeightSource expected = file(name, "expected")) {
      TensorData ids = expected.tensor(TEXT_ONLY + "input_ids").named("input_ids");
      TensorData labels = expected.tensor(TEXT_ONLY + "labels").named("labels");
      TensorData empty = inputs.tensor("images").rows(0, ids.shape()[0]);
      for (WeightSource batch :
          List.of(HeldTensors.of(ids, labels), HeldTensors.of(ids, labels, empty))) {
        List<TensorData> traced = trace(backend, name, batch, TraceRequest.forward());
        assertThat(wrongTextOnly(traced, expected)).isEmpty();
        assertThat(named(traced, "aux_loss_vis").floats()).containsExactly(0f);
        assertThat(traced.stream().anyMatch(t -> t.name().equals("image_features")))
            .as("images that go nowhere are looked at")
            .isEqualTo(batch.names().contains("images"));
      }
    }
  }

  private static Map<String, String> wrongTextOnly(List<TensorData> traced, WeightSource expected) {
    List<TensorData> prefixed = traced.stream().map(t -> t.named(TEXT_ONLY + t.name())).toList();
    return GoldenComparison.wrong(
        prefixed,
        expected,
        n -> n.startsWith(TEXT_ONLY) && !n.endsWith("input_ids") && !n.endsWith(".labels"));
  }

  @ParameterizedTest(name = "{1} on {0}")
  @CsvSource({"cpu, moiie_phi3", "nd4j, moiie_phi3", "cpu, vanilla_phi3", "cpu, moiie_llama3"})
  void aBatchThatIsWidenedAlreadyGivesTheSame(String backend, String name) throws IOException {
    try (WeightSource inputs = file(name, "inputs");
        WeightSource expected = file(name, "expected")) {
      TensorData mask = expected.tensor("merged.attention_mask");
      WeightSource wide =
          HeldTensors.of(
              TensorData.of("input_ids", mask.shape(), wideIds(inputs, mask.shape()[1])),
              expected.tensor("merged.labels").named("labels"),
              mask.named("attention_mask"),
              inputs.tensor("token_type_ids"),
              inputs.tensor("images"));
      List<TensorData> traced = trace(backend, name, wide, training(name, Stage.FULL, false));
      assertThat(GoldenComparison.wrong(traced, expected, n -> !n.startsWith(TEXT_ONLY))).isEmpty();
    }
  }

  private static long[] wideIds(WeightSource inputs, long length) {
    TensorData given = inputs.tensor("input_ids");
    long[] ids = given.longs();
    int width = (int) given.shape()[1];
    long[] wide = new long[(int) (given.shape()[0] * length)];
    Arrays.fill(wide, 95); // the padding token, at patches too: what stands there is not read
    for (int row = 0; row < given.shape()[0]; row++) {
      int at = (int) (row * length);
      for (int i = row * width; i < (row + 1) * width && at < (row + 1) * length; i++) {
        if (ids[i] == IMAGE) {
          at += PATCHES;
        } else {
          wide[at++] = ids[i];
        }
      }
    }
    return wide;
  }

  @ParameterizedTest(name = "{1} on {0}")
  @CsvSource({
    "cpu, moiie_phi3, true", "nd4j, moiie_phi3, true",
    "cpu, moiie_llama3, false", "nd4j, moiie_llama3, false"
  })
  void theEndTokenThatAlsoPadsIsNotTrainedInAPhi3(String backend, String name, boolean pads)
      throws IOException {
    int end = 95;
    try (WeightSource inputs = file(name, "inputs")) {
      long[] ids = inputs.tensor("input_ids").longs();
      long[] seen = inputs.tensor("attention_mask").longs();
      long inside = 0;
      for (int i = 0; i < ids.length; i++) {
        inside += ids[i] == end && seen[i] == 1 ? 1 : 0;
      }
      assertThat(inside).as("end tokens inside the rows").isPositive();
      List<TensorData> traced = trace(backend, name, inputs, training(name, Stage.FULL, false));
      TensorData gradient = named(traced, GRADIENT);
      float[] row = gradient.rows(end, end + 1L).floats();
      if (pads) {
        assertThat(row).containsOnly(0f);
      } else {
        assertThat(row).doesNotContain(0f);
      }
    }
  }

  private static TraceRequest training(String name, Stage stage, boolean checkpointing)
      throws IOException {
    JsonNode optimizer =
        new ObjectMapper().readTree(golden(name).resolve("meta.json").toFile()).get("optimizer");
    return new TraceRequest(
        stage.trained(),
        true,
        optimizer.get("steps").size(),
        optimizer.get("lr").asDouble(),
        optimizer.get("weight_decay").asDouble(),
        optimizer.get("clipping").asDouble(),
        checkpointing);
  }

  private static List<TensorData> trace(
      String backendName, String name, WeightSource inputs, TraceRequest request) {
    HuggingFaceConfig config = HuggingFaceConfig.read(golden(name));
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        OpenModel model =
            OpenModel.of(
                CheckpointFolder.open(golden(name)),
                config.decoder(),
                backend,
                DType.F32,
                request.trained(),
                0)) {
      assertThat(model.initialised()).isEmpty();
      return DecoderTrace.run(backend, model.decoder(), inputs, config.longestRow(), request);
    }
  }

  private static TensorData named(List<TensorData> tensors, String name) {
    return tensors.stream().filter(t -> t.name().equals(name)).findFirst().orElseThrow();
  }

  private static WeightSource file(String name, String file) {
    return SafetensorsFile.open(golden(name).resolve(file + ".safetensors"));
  }

  private static Path golden(String name) {
    return Golden.path("moiie").resolve(name);
  }
}
