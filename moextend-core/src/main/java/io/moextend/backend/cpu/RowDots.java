package io.moextend.backend.cpu;

import io.moextend.array.DType;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Dot products of rows of weights, or of keys, with one row of x, in F32. Rows go by twos, one of
 * the upper half with one of the lower: two streams for the processor's prefetching to follow.
 *
 * <p>BF16 rows are read as pairs in a word: the lower half is widened by a shift, the upper by a
 * mask. So x comes {@link #spread}: elements of even place first, then those of odd place, and a
 * byte of a row is as far from its beginning as the float of either half that it meets.
 *
 * <p>The inner loops go by a step that the compiler does not know, so that it makes one loop of
 * each. One of a known step becomes three, an unrolled one between a head and a tail of other
 * instructions, and prefetching that goes by instructions loses its stream at every row: half the
 * speed on rows of 1024 elements.
 */
final class RowDots {
  private final boolean narrow;
  private final int inner;
  private final int whole;
  private final long bytes;
  private final long odd;
  private final long step = 4L * Floats.LANES;

  /**
   * @param type of the rows
   * @param inner elements of a row
   */
  RowDots(DType type, int inner) {
    this.narrow = type == DType.BF16;
    this.inner = inner;
    int lanes = narrow ? 2 * Floats.LANES : Floats.LANES;
    this.whole = inner / lanes * lanes;
    this.bytes = (long) whole * type.bytes();
    this.odd = 2L * whole;
  }

  /** True where x has to be {@link #spread} first; else it is read as it lies. */
  boolean spreads() {
    return narrow;
  }

  /** Writes a BF16 row of x as F32, in the order the products want. */
  void spread(long row, long to) {
    for (long at = 0; at < bytes; at += step) {
      IntVector pairs = Vectors.pairs(row + at);
      Vectors.store(Vectors.even(pairs), to + at, 0);
      Vectors.store(Vectors.odd(pairs), to + odd + at, 0);
    }
    for (int i = whole; i < inner; i++) {
      Floats.set(to + 4L * i, Floats.get(DType.BF16, row + 2L * i));
    }
  }

  /**
   * to[i] = row i · x.
   *
   * @param first address of row 0
   * @param line bytes from one row to the next
   */
  void multiply(long first, long line, int rows, long x, float[] to) {
    if (narrow) {
      multiplyPairs(first, line, rows, x, to);
    } else {
      multiplyFloats(first, line, rows, x, to);
    }
    for (int i = 0; whole < inner && i < rows; i++) {
      to[i] += rest(first + i * line, x);
    }
  }

  private void multiplyFloats(long first, long line, int rows, long x, float[] to) {
    int half = (rows + 1) / 2;
    for (int i = 0; i < half; i++) {
      int other = Math.min(half + i, rows - 1);
      long row = first + i * line;
      long second = first + other * line;
      FloatVector a = FloatVector.zero(Floats.SPECIES);
      FloatVector b = a;
      for (long k = 0; k < bytes; k += step) {
        FloatVector u = Vectors.load(x + k, 0);
        a = Vectors.load(row + k, 0).fma(u, a);
        b = Vectors.load(second + k, 0).fma(u, b);
      }
      to[i] = VectorMath.total(a);
      to[other] = VectorMath.total(b);
    }
  }

  private void multiplyPairs(long first, long line, int rows, long x, float[] to) {
    int half = (rows + 1) / 2;
    for (int i = 0; i < half; i++) {
      int other = Math.min(half + i, rows - 1);
      long row = first + i * line;
      long second = first + other * line;
      FloatVector a = FloatVector.zero(Floats.SPECIES);
      FloatVector b = a;
      for (long k = 0; k < bytes; k += step) {
        FloatVector u = Vectors.load(x + k, 0);
        FloatVector v = Vectors.load(x + odd + k, 0);
        IntVector w = Vectors.pairs(row + k);
        a = Vectors.odd(w).fma(v, Vectors.even(w).fma(u, a));
        w = Vectors.pairs(second + k);
        b = Vectors.odd(w).fma(v, Vectors.even(w).fma(u, b));
      }
      to[i] = VectorMath.total(a);
      to[other] = VectorMath.total(b);
    }
  }

  /** What whole vectors left over. */
  private float rest(long row, long x) {
    float sum = 0;
    DType type = narrow ? DType.BF16 : DType.F32;
    for (int i = whole; i < inner; i++) {
      sum += Floats.get(type, row + (long) i * type.bytes()) * Floats.get(DType.F32, x + 4L * i);
    }
    return sum;
  }
}
