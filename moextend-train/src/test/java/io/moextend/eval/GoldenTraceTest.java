package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.GoldenComparison;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.FreshParameters;
import io.moextend.model.LoadedParameters;
import io.moextend.model.OpenModel;
import io.moextend.stage.Stage;
import io.moextend.vision.Tower;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every number of the reference cases, on every backend that runs here, in f32. */
class GoldenTraceTest {
  /** Moves with rounding in the original itself: see the reference folder's README. */
  private static final Predicate<String> ROUNDING =
      name ->
          name.startsWith("after.")
              && (name.endsWith("k_proj.bias")
                  || name.endsWith("attention.key.bias")
                  || name.endsWith("head.attention.in_proj_bias")
                  || name.endsWith("experts.0.w3.weight"));

  static Stream<Arguments> cases() {
    return Stream.of("cpu", "nd4j")
        .filter(name -> Backends.known().stream().anyMatch(p -> p.name().equals(name)))
        .flatMap(
            backend ->
                Stream.of(
                    Arguments.of(backend, "moextend/vision_align", Stage.ALIGNMENT, false),
                    Arguments.of(backend, "moextend/vision_align", Stage.ALIGNMENT, true),
                    Arguments.of(backend, "moextend/vision_gate", Stage.EXTENSION, false),
                    Arguments.of(backend, "moextend/vision_gate", Stage.EXTENSION, true),
                    Arguments.of(backend, "moextend/moextend_ft_rand", Stage.FINETUNE, false),
                    Arguments.of(backend, "moextend/moextend_ft_rand", Stage.FINETUNE, true),
                    Arguments.of(backend, "moextend/moextend_ft", Stage.FINETUNE, false),
                    Arguments.of(backend, "hf/hf_mixtral", null, false),
                    Arguments.of(backend, "hf/hf_llama", null, true),
                    Arguments.of(backend, "hf/hf_llama31", null, false),
                    Arguments.of(backend, "hf/hf_mistral", null, false),
                    Arguments.of(backend, "hf/hf_qwen2", null, true),
                    Arguments.of(backend, "hf/hf_phi3", null, false),
                    Arguments.of(backend, "hf/hf_phi3_longrope", null, true)));
  }

  @ParameterizedTest(name = "{1} on {0}, checkpointing {3}")
  @MethodSource("cases")
  void everyTensorOfTheReferenceCaseIsReproduced(
      String backendName, String name, Stage stage, boolean checkpointing) throws IOException {
    Path folder = Golden.path(name);
    JsonNode optimizer =
        new ObjectMapper().readTree(folder.resolve("meta.json").toFile()).get("optimizer");
    Set<Role> trained = stage == null ? TraceRequest.allRoles() : stage.trained();
    var request =
        new TraceRequest(
            trained,
            true,
            3,
            optimizer.get("lr").asDouble(),
            optimizer.get("weight_decay").asDouble(),
            optimizer.get("max_grad_norm").asDouble(),
            checkpointing);
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        OpenModel model =
            OpenModel.of(
                CheckpointFolder.open(folder),
                HuggingFaceConfig.read(folder).decoder(),
                backend,
                DType.F32,
                trained,
                0);
        WeightSource expected = SafetensorsFile.open(folder.resolve("expected.safetensors"));
        WeightSource inputs = inputs(folder, expected, name.endsWith("moextend_ft"))) {
      compare(DecoderTrace.run(backend, model.decoder(), inputs, request), expected);
      assertThat(backend.memory().liveBytes()).as("what is left is the model's").isPositive();
    }
  }

  /** A fresh expert ties with its origin: which of the two is picked must be replayed. */
  private static WeightSource inputs(Path folder, WeightSource expected, boolean forced) {
    WeightSource file = SafetensorsFile.open(folder.resolve("inputs.safetensors"));
    return forced ? new WithChoices(file, expected) : file;
  }

  private record WithChoices(WeightSource file, WeightSource expected) implements WeightSource {
    @Override
    public Set<String> names() {
      var names = new java.util.TreeSet<>(file.names());
      expected.names().stream().filter(n -> n.startsWith("selected_experts.")).forEach(names::add);
      return names;
    }

    @Override
    public TensorData tensor(String name) {
      return name.startsWith("selected_experts.") ? expected.tensor(name) : file.tensor(name);
    }

    @Override
    public String origin() {
      return file.origin();
    }

    @Override
    public void close() {
      file.close();
    }
  }

  @ParameterizedTest
  @MethodSource("towerCases")
  void everyTensorOfTheTowerCaseIsReproduced(String backendName, String name) {
    Path folder = Golden.path(name);
    var request = new TraceRequest(TraceRequest.allRoles(), true, 3, 1e-3, 0.01, 1.0, false);
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        Arena arena = backend.arena("tower");
        WeightSource weights = CheckpointFolder.open(folder.resolve("model.safetensors"));
        WeightSource expected = SafetensorsFile.open(folder.resolve("expected.safetensors"));
        WeightSource inputs = SafetensorsFile.open(folder.resolve("inputs.safetensors"))) {
      var fresh = new FreshParameters(backend, arena, DType.F32, TraceRequest.allRoles(), 0.02, 0);
      var from =
          new LoadedParameters(
              weights, backend, arena, DType.F32, TraceRequest.allRoles(), fresh, Set.of());
      try (var tower = Tower.of(from, "", HuggingFaceConfig.read(folder).tower())) {
        from.requireAllRead();
        compare(TowerTrace.run(backend, tower, DType.F32, inputs, request), expected);
      }
    }
  }

  static Stream<Arguments> towerCases() {
    return backends()
        .flatMap(
            backend ->
                Stream.of(
                        "hf/hf_clip_vision",
                        "hf/hf_siglip_vision",
                        "hf/hf_dinov2",
                        "hf/hf_dinov2_gated")
                    .map(name -> Arguments.of(backend, name)));
  }

  static Stream<String> backends() {
    return Stream.of("cpu", "nd4j")
        .filter(name -> Backends.known().stream().anyMatch(p -> p.name().equals(name)));
  }

  private static void compare(List<TensorData> traced, WeightSource expected) {
    assertThat(GoldenComparison.wrong(traced, expected, ROUNDING.negate())).isEmpty();
  }

  @Test
  void bothBackendsOfTheProjectAreTested() {
    assertThat(backends()).contains("nd4j");
  }
}
