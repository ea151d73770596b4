package io.moextend.backend.cuda;

import io.moextend.array.DType;
import io.moextend.array.HalfPrecision;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Products as loops that are written to be read. */
final class LoopBlas implements Blas {
  private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  @Override
  public boolean multiply(Gemm g, long a, long b, long c, long bias) {
    float[] left = read(g.type(), a, g.m(), g.k(), g.lda(), g.aTransposed());
    float[] right = read(g.type(), b, g.k(), g.n(), g.ldb(), g.bTransposed());
    int n = (int) g.n();
    int k = (int) g.k();
    double[] sums = new double[n];
    for (int i = 0; i < g.m(); i++) {
      Arrays.fill(sums, 0);
      for (int j = 0; j < k; j++) {
        double l = left[i * k + j];
        for (int column = 0; column < n; column++) {
          sums[column] += l * right[j * n + column];
        }
      }
      for (int column = 0; column < n; column++) {
        long at = c + (i * g.ldc() + column) * g.result().bytes();
        double before = g.accumulate() ? get(g.result(), at) : 0;
        double added = g.biased() ? get(g.result(), bias + (long) column * g.result().bytes()) : 0;
        set(g.result(), at, (float) (before + sums[column] + added));
      }
    }
    return true;
  }

  /** [rows, columns], row by row, however it lies. */
  private static float[] read(
      DType type, long at, long rows, long columns, long stride, boolean transposed) {
    float[] values = new float[Math.toIntExact(rows * columns)];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        long element = transposed ? c * stride + r : r * stride + c;
        values[(int) (r * columns + c)] = get(type, at + element * type.bytes());
      }
    }
    return values;
  }

  private static float get(DType type, long at) {
    return type == DType.F32
        ? ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at)
        : HalfPrecision.fromBf16(ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
  }

  private static void set(DType type, long at, float value) {
    if (type == DType.F32) {
      ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, value);
    } else {
      ALL.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, HalfPrecision.toBf16(value));
    }
  }

  @Override
  public void close() {}
}
