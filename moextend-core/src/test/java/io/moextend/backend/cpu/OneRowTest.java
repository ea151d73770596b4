package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.backend.Dispatch;
import io.moextend.backend.Matrix;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Matrices of one task and of several, of whole vectors and not, of even and odd row counts. */
class OneRowTest {
  private static final long SEED = 20261122;

  private final Random random = new Random(SEED);
  private Backend backend;
  private Arena arena;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after the test
  void open() {
    backend = Backends.open("cpu", new BackendProvider.Options(2, 0));
    arena = backend.arena("one row");
  }

  @AfterEach
  void close() {
    arena.close();
    backend.close();
  }

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

  private Array random(DType type, long... shape) {
    float[] values = new float[(int) Array.sizeOf(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return backend.floats(arena, type, values, shape);
  }

  /** Compares from {@code column} on with row o of w · x + added. */
  private void compare(float[] got, int column, Array w, Array x, float[] added) {
    float[] weights = backend.toFloats(arena, w);
    float[] a = backend.toFloats(arena, x);
    for (int o = 0; o < w.dim(0); o++) {
      double want = added[o];
      for (int i = 0; i < a.length; i++) {
        want += (double) a[i] * weights[o * a.length + i];
      }
      assertThat(Math.abs(got[column + o] - want))
          .as("column %d is %s for %s, seed %d", column + o, got[column + o], want, SEED)
          .isLessThan(2e-4);
    }
  }

  @ParameterizedTest(name = "{0}, {2} rows of {1}")
  @MethodSource("shapes")
  void theSumsAreThoseOfPlainLoops(DType type, int in, List<Long> parts) {
    List<Array> weights = parts.stream().map(n -> random(type, n, in)).toList();
    Array x = random(type, 1, in);
    Array bias = random(type, parts.stream().mapToLong(n -> n).sum());
    try (Matrix matrix = backend.matrix(weights, true)) {
      float[] got = backend.toFloats(arena, backend.product(arena, x, matrix, bias, DType.F32));
      int column = 0;
      for (Array part : weights) {
        Array added = bias.slice(column, column + part.dim(0));
        compare(got, column, part, x, backend.toFloats(arena, added));
        column += (int) part.dim(0);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void eachExpertTakesItsOwnRow(DType type) {
    int in = 1100;
    int out = 150;
    List<Array> weights = Stream.generate(() -> random(type, out, in)).limit(4).toList();
    List<Matrix> experts = weights.stream().map(w -> backend.matrix(List.of(w), true)).toList();
    Array x = random(type, 2, in);
    Dispatch dispatch =
        backend.dispatch(arena, backend.ints(arena, new int[] {3, 1}, 2, 1), experts.size());
    Array rows = backend.permute(arena, x, dispatch);
    Array y = backend.groupedProduct(arena, rows, dispatch, experts);
    float[] got = backend.toFloats(arena, backend.cast(arena, y, DType.F32));
    if (type == DType.F32) { // the second token's expert comes first
      compare(got, 0, weights.get(1), x.slice(1, 2), new float[out]);
      compare(got, out, weights.get(3), x.slice(0, 1), new float[out]);
    }
    for (int row = 0; row < 2; row++) {
      Matrix own = experts.get(row == 0 ? 1 : 3);
      float[] alone =
          backend.toFloats(
              arena, backend.product(arena, rows.slice(row, row + 1L), own, null, type));
      assertThat(Arrays.copyOfRange(got, row * out, (row + 1) * out)).isEqualTo(alone);
    }
    experts.forEach(Matrix::close);
  }
}
