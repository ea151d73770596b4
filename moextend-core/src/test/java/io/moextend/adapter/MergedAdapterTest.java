package io.moextend.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.Union;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.ModelInput;
import io.moextend.model.OpenAdapters;
import io.moextend.model.OpenModel;
import io.moextend.model.OpenT5;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.Watch;
import io.moextend.nn.Sites;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What PEFT computes, what an adapter gives beside its base, and what both merged give. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class MergedAdapterTest {
  private static final ParameterChoice NOTHING = ParameterChoice.NONE;
  private Backend b;
  @TempDir Path folder;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open() {
    b = Backends.open("cpu", new Options(2, 0));
  }

  @AfterAll
  void close() {
    b.close();
  }

  private static int[] ids(WeightSource source, String name) {
    return Arrays.stream(source.tensor(name).longs()).mapToInt(Math::toIntExact).toArray();
  }

  private static void agree(float[] have, float[] want, double relative) {
    double largest = 0;
    for (float value : want) {
      largest = Math.max(largest, Math.abs(value));
    }
    assertThat(have).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      assertThat((double) Math.abs(have[i] - want[i])).isLessThanOrEqualTo(relative * largest);
    }
  }

  private float[] decoderLogits(
      WeightSource source, DecoderConfig config, @Nullable AdapterConfig adapter, int[] ids) {
    try (OpenModel model =
            OpenModel.of(source, config, b, DType.F32, NOTHING, 0, NOTHING, adapter);
        Arena arena = b.arena("logits")) {
      Tape tape = Tape.off(b, arena);
      int length = ids.length / 2;
      var input = new ModelInput(2, length, b.ints(arena, ids, ids.length), null, null, List.of());
      Tensor hidden = model.decoder().forward(tape, input, false, Watch.NONE).hidden();
      return b.toFloats(arena, model.decoder().logits(tape, hidden).data());
    }
  }

  @ParameterizedTest
  @CsvSource({"lora_llama, hf/hf_llama", "lora_phi3, hf/hf_phi3", "ia3_llama, hf/hf_llama"})
  void aDecoderWithPeftsAdapterGivesItsLogitsBesideItsBaseAndMerged(String name, String base)
      throws Exception {
    Path golden = Golden.path("peft/" + name);
    DecoderConfig config = HuggingFaceConfig.read(Golden.path(base)).decoder();
    try (var expected = SafetensorsFile.open(golden.resolve("expected.safetensors"))) {
      int[] ids = ids(expected, "input_ids");
      float[] want = expected.tensor("logits").floats();
      PeftFolder.Read read = PeftFolder.open(golden, module -> config.heads().keyValue());
      WeightSource both =
          new Union(List.of(CheckpointFolder.open(Golden.path(base)), read.weights()));
      float[] beside = decoderLogits(both, config, read.config(), ids);
      agree(beside, want, 2e-5);

      PeftFolder.Read again = PeftFolder.open(golden, module -> config.heads().keyValue());
      try (Merged merged =
          Merged.of(CheckpointFolder.open(Golden.path(base)), again.config(), again.weights())) {
        SafetensorsWriter.writeModel(
            folder,
            merged.names().stream().map(merged::stream).toList(),
            SafetensorsWriter.DEFAULT_SHARD_BYTES);
      }
      agree(decoderLogits(CheckpointFolder.open(folder), config, null, ids), beside, 5e-6);
    }
  }

  private float[] t5Logits(Path folder, WeightSource source, Sites sites, T5Batch batch) {
    try (OpenT5 opened =
            OpenT5.of(source, HuggingFaceConfig.read(folder).t5(), b, DType.F32, NOTHING, sites);
        Arena arena = b.arena("logits")) {
      Tape tape = Tape.off(b, arena);
      T5.Output output = opened.model().forward(tape, batch, T5.Pass.PLAIN);
      return b.toFloats(arena, opened.model().logits(tape, output.decoder()).data());
    }
  }

  @Test
  void aT5WithPeftsVectorsGivesItsLogitsBesideItsBaseAndMerged() {
    Path golden = Golden.path("peft/ia3_t5");
    Path base = Golden.path("hf/hf_t5");
    int heads = HuggingFaceConfig.read(base).t5().heads();
    try (var expected = SafetensorsFile.open(golden.resolve("expected.safetensors"))) {
      int[] ids = ids(expected, "input_ids");
      int[] before = new int[ids.length];
      for (int i = 0; i < ids.length; i++) {
        before[i] = ids[(i + ids.length - 1) % ids.length];
      }
      var batch = new T5Batch(2, ids, ids, before, null, null);
      PeftFolder.Read read = PeftFolder.open(golden, module -> heads);
      float[] beside;
      try (var adapters =
          OpenAdapters.of(read.config(), read.weights(), b, DType.F32, NOTHING, 0)) {
        beside = t5Logits(base, CheckpointFolder.open(base), adapters, batch);
        adapters.requireAllUsed();
      }
      agree(beside, expected.tensor("logits").floats(), 2e-5);
      PeftFolder.Read again = PeftFolder.open(golden, module -> heads);
      Merged merged = Merged.of(CheckpointFolder.open(base), again.config(), again.weights());
      agree(t5Logits(base, merged, Sites.NONE, batch), beside, 5e-6);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"lora", "ia3"})
  void theOriginalsAdaptersMergedGiveTheOriginalsLogits(String name) {
    Path golden = Golden.path("mov/" + name);
    try (var adapted = new AdaptedT5("cpu", name)) {
      T5Batch batch = adapted.t5.batch("packed");
      Merged merged =
          Merged.of(
              SafetensorsFile.open(golden.resolve("model.safetensors")),
              adapted.config,
              new TurnedTensors(SafetensorsFile.open(golden.resolve("adapter.safetensors"))));
      float[] logits = t5Logits(golden, merged, Sites.NONE, batch);
      adapted.t5.compare("packed.logits", logits, row -> true);
    }
  }

  @Test
  void anAdapterWhoseTensorsTheModelHasNoPlaceForIsNotPassedOver() {
    Path golden = Golden.path("peft/ia3_t5");
    Path base = Golden.path("hf/hf_t5");
    PeftFolder.Read read = PeftFolder.open(golden, module -> 4);
    AdapterConfig fewer = read.config().at(List.of("k"));
    try (var adapters = OpenAdapters.of(fewer, read.weights(), b, DType.F32, NOTHING, 0);
        OpenT5 model =
            OpenT5.of(
                CheckpointFolder.open(base),
                HuggingFaceConfig.read(base).t5(),
                b,
                DType.F32,
                NOTHING,
                adapters)) {
      assertThat(model.model().parameters()).isNotEmpty();
      assertThatThrownBy(adapters::requireAllUsed).isInstanceOf(CheckpointException.class);
    }
  }
}
