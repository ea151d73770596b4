package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model whose layers come in turn says what it says when they are all there. */
class LayersInTurnTest {
  /** In bf16, of four layers, so that f32 has to be made of it. */
  private static final Path MODEL = Golden.path("moiie/convert_moe/src_llama");

  private static final DecoderConfig CONFIG = HuggingFaceConfig.read(MODEL).decoder();
  private static final int[] IDS = {3, 1, 4, 1, 5, 9, 2, 6};

  private static Backend backend(String name) {
    return Backends.open(name, new BackendProvider.Options(2, 0), DType.F32);
  }

  private static float[] run(Backend backend, OpenModel model) {
    try (Arena arena = backend.arena("pass")) {
      var ids = backend.ints(arena, IDS, IDS.length);
      var input = new ModelInput(1, IDS.length, ids, null, null, List.of());
      Decoder.Output output =
          model.decoder().forward(Tape.off(backend, arena), input, false, Watch.NONE);
      model.decoder().residency().finish();
      return backend.toFloats(arena, output.hidden().data());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void itSaysTheSameInLessMemory(String name) {
    try (Backend backend = backend(name)) {
      float[] want;
      long whole;
      long layer;
      try (OpenModel model =
          OpenModel.of(CheckpointFolder.open(MODEL), CONFIG, backend, DType.F32, Set.of(), 0)) {
        backend.memory().resetPeak();
        want = run(backend, model);
        whole = backend.memory().peakBytes();
        layer =
            model.decoder().layerWeights().getFirst().stream()
                .flatMap(weight -> weight.parts().stream())
                .mapToLong(part -> part.size() * DType.F32.bytes())
                .sum();
      }
      try (OpenModel model =
          OpenModel.inTurn(CheckpointFolder.open(MODEL), CONFIG, backend, DType.F32, 0)) {
        backend.memory().resetPeak();
        assertThat(run(backend, model)).isEqualTo(want);
        assertThat(run(backend, model)).as("a second time").isEqualTo(want);
        assertThat(backend.memory().peakBytes()).isLessThan(whole - 2 * layer);
      }
    }
  }

  @Test
  void itDoesNotTrain() {
    try (Backend backend = backend("cpu");
        OpenModel model =
            OpenModel.inTurn(CheckpointFolder.open(MODEL), CONFIG, backend, DType.F32, 0)) {
      assertThatThrownBy(() -> model.decoder().residency().training(GradientSink.NONE))
          .hasMessageContaining("does not train");
    }
  }
}
