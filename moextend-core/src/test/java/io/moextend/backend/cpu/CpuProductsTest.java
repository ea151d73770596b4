package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.Matrix;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Products on this backend: any number of rows, parts of a matrix, narrow types. */
class CpuProductsTest {
  private static final long SEED = Numbers.SEED;

  private Backend backend;
  private Arena arena;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    backend = Backends.open("cpu", new Options(2, 0));
    arena = backend.arena("test");
  }

  @AfterEach
  void close() {
    arena.close();
    backend.close();
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void productsOfAnyRowCountAgreeWithPlainLoops(DType type) {
    int in = 37;
    int out = 300; // more than a panel
    Array w = Numbers.random(backend, arena, type, 1, out, in);
    double[] weights = Numbers.of(backend, w);
    try (Matrix matrix = backend.matrix(List.of(w), true)) {
      for (int rows : new int[] {1, 2, 15, 16, 17, 31, 33, 100, 127, 128, 129, 143, 144, 271}) {
        Array x = Numbers.random(backend, arena, type, rows, rows, in);
        double[] got = Numbers.of(backend, backend.product(arena, x, matrix, null, DType.F32));
        double[] a = Numbers.of(backend, x);
        for (int r = 0; r < rows; r++) {
          for (int o = 0; o < out; o++) {
            double want = 0;
            for (int i = 0; i < in; i++) {
              want += a[r * in + i] * weights[o * in + i];
            }
            assertThat(Math.abs(got[r * out + o] - want))
                .as("%d rows, [%d, %d], seed %d", rows, r, o, SEED)
                .isLessThan(1e-4);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void aWeightGradientReadsNoRowBeyondItsExpert(DType type) {
    int rows = 37;
    int width = 20;
    float[] ones = new float[3 * rows * width];
    java.util.Arrays.fill(ones, Float.NaN);
    java.util.Arrays.fill(ones, rows * width, 2 * rows * width, 1f);
    Array all = backend.floats(arena, type, ones, 3L * rows, width);
    Array middle = all.slice(rows, 2L * rows);
    assertThat(Numbers.of(backend, backend.weightGradient(arena, middle, 3, 17, middle)))
        .hasSize(14 * width)
        .containsOnly(rows);
  }

  @Test
  void aMatrixReadsItsPartsWhereTheyLie() {
    Array w = Numbers.random(backend, arena, DType.BF16, 1, 512, 512);
    Array x = Numbers.random(backend, arena, DType.BF16, 2, 20, 512);
    long before = backend.memory().liveBytes();
    try (Matrix matrix = backend.matrix(List.of(w), true)) {
      Array y = backend.product(arena, x, matrix, null, DType.BF16);
      Array back = backend.productTransposed(arena, y, matrix);
      assertThat(backend.memory().liveBytes() - before).isLessThan(4 * 20 * 512 * 2);
      arena.free(y);
      arena.free(back);
      arena.free(w);
      assertThatThrownBy(() -> backend.product(arena, x, matrix, null, DType.BF16))
          .hasMessageContaining("was freed");
      matrix.close();
      assertThatThrownBy(() -> backend.product(arena, x, matrix, null, DType.BF16))
          .hasMessageContaining("was closed");
    }
  }

  @Test
  void aTrainableMatrixFollowsItsPartsAfterARefresh() {
    Array w = Numbers.random(backend, arena, DType.F32, 1, 5, 3);
    Array x = backend.floats(arena, DType.F32, new float[] {1, 1, 1}, 1, 3);
    try (Matrix matrix = backend.matrix(List.of(w), false)) {
      backend.product(arena, x, matrix, null, DType.F32);
      backend.fillInto(w, 2);
      matrix.refresh();
      assertThat(Numbers.of(backend, backend.product(arena, x, matrix, null, DType.F32)))
          .containsOnly(6);
      Array dY = backend.floats(arena, DType.F32, new float[] {1, 1, 1, 1, 1}, 1, 5);
      assertThat(Numbers.of(backend, backend.productTransposed(arena, dY, matrix)))
          .containsOnly(10);
    }
  }

  @Test
  void productsWithoutBf16UnitsAgreeWithThoseThatHaveThem() {
    CpuDevice cpu = ((CpuBackend) backend).cpu();
    CpuArray x = (CpuArray) Numbers.random(backend, arena, DType.BF16, 1, 32, 40);
    CpuArray w = (CpuArray) Numbers.random(backend, arena, DType.BF16, 2, 40, 24);
    CpuArray bias = (CpuArray) Numbers.random(backend, arena, DType.BF16, 3, 24);
    for (DType result : List.of(DType.F32, DType.BF16)) {
      var shape =
          new Gemm.Shape(
              32,
              40,
              24,
              DType.BF16,
              result,
              new Gemm.Layout(40, 1),
              new Gemm.Layout(24, 1),
              24,
              true,
              false);
      CpuArray usual = CpuDevice.allocate(arena, result, 32, 24);
      CpuArray wide = CpuDevice.allocate(arena, result, 32, 24);
      cpu.workers()
          .run(
              1,
              (lane, i) -> {
                lane.gemm()
                    .multiply(shape, x.address(), w.address(), bias.address(), usual.address());
                WideProduct.multiply(
                    lane.gemm(),
                    lane,
                    shape,
                    x.address(),
                    w.address(),
                    bias.address(),
                    wide.address());
              });
      double[] want = Numbers.of(backend, usual);
      double[] got = Numbers.of(backend, wide);
      for (int i = 0; i < want.length; i++) {
        double allowed = result == DType.F32 ? 1e-4 : Math.abs(want[i]) * 0x1p-7 + 1e-4;
        assertThat(Math.abs(got[i] - want[i])).as("%s %d", result, i).isLessThan(allowed);
      }
    }
  }
}
