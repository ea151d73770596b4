package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.backend.Matrix;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Products of few rows, with matrices of several tasks and rows that are no whole vectors. */
class FewRowsTest {
  private static final long SEED = 20261122;

  static Stream<Arguments> shapes() {
    return Stream.of(DType.F32, DType.BF16)
        .flatMap(
            type ->
                Stream.of(
                    Arguments.of(type, 1024, List.of(301L, 64L, 1L)),
                    Arguments.of(type, 1531, List.of(257L)),
                    Arguments.of(type, 7, List.of(5L, 2L)),
                    Arguments.of(type, 64, List.of(1L))));
  }

  private static Array random(Backend b, Arena to, DType type, Random random, long... shape) {
    float[] values = new float[(int) Array.sizeOf(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return b.floats(to, type, values, shape);
  }

  @ParameterizedTest(name = "{0}, {2} rows of {1}")
  @MethodSource("shapes")
  void aRowComesOutTheSameWhateverOthersThereAre(DType type, int in, List<Long> parts) {
    var random = new Random(SEED);
    try (Backend b = Backends.open("cpu", new BackendProvider.Options(2, 0));
        Arena arena = b.arena("few")) {
      List<Array> weights = parts.stream().map(n -> random(b, arena, type, random, n, in)).toList();
      int out = parts.stream().mapToInt(Long::intValue).sum();
      Array bias = random(b, arena, type, random, out);
      Array x = random(b, arena, type, random, FewRows.MOST, in);
      try (Matrix matrix = b.matrix(weights, true)) {
        for (int rows = 1; rows <= FewRows.MOST; rows++) {
          float[] got =
              b.toFloats(arena, b.product(arena, x.slice(0, rows), matrix, bias, DType.F32));
          for (int r = 0; r < rows; r++) {
            float[] alone =
                b.toFloats(arena, b.product(arena, x.slice(r, r + 1L), matrix, bias, DType.F32));
            assertThat(Arrays.copyOfRange(got, r * out, (r + 1) * out))
                .as("row %d of %d, seed %d", r, rows, SEED)
                .isEqualTo(alone);
          }
        }
      }
    }
  }

  @ParameterizedTest(name = "{0}, {2} rows of {1}")
  @MethodSource("shapes")
  void theSumsAreThoseOfPlainLoops(DType type, int in, List<Long> parts) {
    var random = new Random(SEED);
    try (Backend b = Backends.open("cpu", new BackendProvider.Options(2, 0));
        Arena arena = b.arena("few")) {
      List<Array> weights = parts.stream().map(n -> random(b, arena, type, random, n, in)).toList();
      Array x = random(b, arena, type, random, 3, in);
      float[] a = b.toFloats(arena, x);
      try (Matrix matrix = b.matrix(weights, true)) {
        float[] got = b.toFloats(arena, b.product(arena, x, matrix, null, DType.F32));
        int out = (int) matrix.out();
        int column = 0;
        for (Array part : weights) {
          float[] w = b.toFloats(arena, part);
          for (int o = 0; o < part.dim(0); o++, column++) {
            for (int r = 0; r < 3; r++) {
              double want = 0;
              for (int i = 0; i < in; i++) {
                want += (double) a[r * in + i] * w[o * in + i];
              }
              assertThat(Math.abs(got[r * out + column] - want))
                  .as("[%d, %d], seed %d", r, column, SEED)
                  .isLessThan(1e-4);
            }
          }
        }
      }
    }
  }
}
