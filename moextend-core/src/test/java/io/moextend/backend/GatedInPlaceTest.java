package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.op.Activate;
import io.moextend.op.Add;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class GatedInPlaceTest {
  private static final long SEED = 20261122;

  static Stream<Arguments> cases() {
    return Stream.of("cpu", "nd4j")
        .flatMap(
            backend ->
                Stream.of(DType.F32, DType.BF16)
                    .filter(type -> type == DType.F32 || backend.equals("cpu"))
                    .flatMap(
                        type ->
                            Stream.of(Activation.values())
                                .map(kind -> Arguments.of(backend, type, kind))));
  }

  private static Array random(Backend b, Arena to, DType type, long seed, long... shape) {
    var random = new Random(seed);
    float[] values = new float[(int) Array.sizeOf(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * (float) random.nextGaussian();
    }
    return b.floats(to, type, values, shape);
  }

  @ParameterizedTest(name = "{0}, {1}, {2}")
  @MethodSource("cases")
  void theGradientMayTakeThePlaceOfTheInput(String name, DType type, Activation kind) {
    try (Backend b = Backends.open(name, new BackendProvider.Options(2, 0));
        Arena arena = b.arena("gated")) {
      for (int width : new int[] {1, 37, 64, 2100}) {
        Array x = random(b, arena, type, SEED, 5, 2L * width);
        Array d = random(b, arena, type, SEED + 1, 5, width);
        float[] apart = b.toFloats(arena, b.gatedBackward(arena, kind, d, x));
        b.gatedBackwardInto(x, kind, d, x);
        assertThat(b.toFloats(arena, x)).as("width %d, seed %d", width, SEED).isEqualTo(apart);
      }
    }
  }

  @ParameterizedTest(name = "{0}, {1}, {2}")
  @MethodSource("cases")
  void theTapeOverwritesAnInputOnlyWhenNobodyReadsItAfterwards(
      String name, DType type, Activation kind) {
    try (Backend b = Backends.open(name, new BackendProvider.Options(2, 0));
        Arena arena = b.arena("gated")) {
      Array w = random(b, arena, type, SEED, 12, 12);
      for (boolean shared : new boolean[] {false, true}) {
        float[] freed = gradient(b, arena, w, kind, shared, true);
        float[] kept = gradient(b, arena, w, kind, shared, false);
        assertThat(freed).as("shared %s, seed %d", shared, SEED).isEqualTo(kept);
      }
    }
  }

  /**
   * Of the sum of gated(x w) and, where it is shared, of gated twice over.
   *
   * @param freed true where arrays are the tape's, which frees them after their last use
   */
  private static float[] gradient(
      Backend b, Arena arena, Array w, Activation kind, boolean shared, boolean freed) {
    var parameter = new Parameter("w", Parameter.Role.BACKBONE, w);
    parameter.trainable(true);
    float[][] got = new float[1][];
    try (Arena step = b.arena("step");
        var weight = new Weight(b, List.of(parameter), List.of())) {
      Tape tape = Tape.recording(b, step, (p, g) -> got[0] = b.toFloats(arena, g));
      Tensor x = Tensor.constant(random(b, step, w.dtype(), SEED + 2, 7, 12));
      Tensor y =
          freed
              ? tape.scope(s -> s.keep(forward(tape, x, weight, kind, shared)))
              : forward(tape, x, weight, kind, shared);
      tape.backward(y, random(b, step, w.dtype(), SEED + 3, 7, 6));
    }
    return got[0];
  }

  private static Tensor forward(
      Tape tape, Tensor x, Weight weight, Activation kind, boolean shared) {
    Tensor z = Project.apply(tape, x, weight);
    Tensor y = Activate.gated(tape, kind, z);
    return shared ? Add.apply(tape, y, Activate.gated(tape, kind, z)) : y;
  }
}
