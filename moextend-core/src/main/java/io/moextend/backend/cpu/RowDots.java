package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Dot products of rows of weights with rows of x, in F32. Two rows of weights go at a time; where
 * they lie far apart they are two streams for the processor's prefetching to follow.
 *
 * <p>BF16 weights are read as pairs in a word: the lower half is widened by a shift, the upper by a
 * mask. So x comes {@link #spread}: elements of even place first, then those of odd place, and a
 * byte of a row of weights is as far from its beginning as the float of either half that it meets.
 *
 * <p>Loops go by a step that the compiler does not know, so that it makes one loop of each. One of
 * a known step becomes three, an unrolled one between a head and a tail of other instructions, and
 * prefetching that goes by instructions loses its stream at every row: half the speed on rows of
 * 1024 elements.
 */
final class RowDots {
  private static final VectorSpecies<Float> SPECIES = Floats.SPECIES;
  private static final VectorSpecies<Integer> INTS = SPECIES.withLanes(int.class);
  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private static final int UPPER = 0xffff0000;

  private final boolean narrow;
  private final int inner;
  private final int whole;
  private final long bytes;
  private final long odd;
  private final long step = 4L * Floats.LANES;

  /**
   * @param type of the weights
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
      IntVector pairs = pairs(row + at);
      even(pairs).intoMemorySegment(ALL, to + at, ORDER);
      odd(pairs).intoMemorySegment(ALL, to + odd + at, ORDER);
    }
    for (int i = whole; i < inner; i++) {
      Floats.set(to + 4L * i, Floats.get(DType.BF16, row + 2L * i));
    }
  }

  /**
   * One row of x with two rows of weights.
   *
   * @param weights address of the first row
   * @param second of the second
   * @param sums takes two products from {@code at} on
   */
  void one(long weights, long second, long x, float[] sums, int at) {
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    if (narrow) {
      for (long k = 0; k < bytes; k += step) {
        FloatVector u = floats(x + k);
        FloatVector v = floats(x + odd + k);
        IntVector w = pairs(weights + k);
        a = odd(w).fma(v, even(w).fma(u, a));
        w = pairs(second + k);
        b = odd(w).fma(v, even(w).fma(u, b));
      }
    } else {
      for (long k = 0; k < bytes; k += step) {
        FloatVector u = floats(x + k);
        a = floats(weights + k).fma(u, a);
        b = floats(second + k).fma(u, b);
      }
    }
    sums[at] = VectorMath.total(a) + rest(weights, x);
    sums[at + 1] = VectorMath.total(b) + rest(second, x);
  }

  /**
   * Two rows of x with two rows of weights: each comes out as from {@link #one}.
   *
   * @param y the second row of x
   * @param sums takes the two products of the first, then those of the second
   */
  void two(long weights, long second, long x, long y, float[] sums, int at) {
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    FloatVector c = a;
    FloatVector d = a;
    if (narrow) {
      for (long k = 0; k < bytes; k += step) {
        IntVector w = pairs(weights + k);
        IntVector z = pairs(second + k);
        FloatVector u = floats(x + k);
        FloatVector v = floats(x + odd + k);
        a = odd(w).fma(v, even(w).fma(u, a));
        b = odd(z).fma(v, even(z).fma(u, b));
        u = floats(y + k);
        v = floats(y + odd + k);
        c = odd(w).fma(v, even(w).fma(u, c));
        d = odd(z).fma(v, even(z).fma(u, d));
      }
    } else {
      for (long k = 0; k < bytes; k += step) {
        FloatVector w = floats(weights + k);
        FloatVector z = floats(second + k);
        FloatVector u = floats(x + k);
        a = w.fma(u, a);
        b = z.fma(u, b);
        u = floats(y + k);
        c = w.fma(u, c);
        d = z.fma(u, d);
      }
    }
    sums[at] = VectorMath.total(a) + rest(weights, x);
    sums[at + 1] = VectorMath.total(b) + rest(second, x);
    sums[at + 2] = VectorMath.total(c) + rest(weights, y);
    sums[at + 3] = VectorMath.total(d) + rest(second, y);
  }

  /** What whole vectors left over. */
  private float rest(long weights, long x) {
    float sum = 0;
    DType type = narrow ? DType.BF16 : DType.F32;
    for (int i = whole; i < inner; i++) {
      sum +=
          Floats.get(type, weights + (long) i * type.bytes()) * Floats.get(DType.F32, x + 4L * i);
    }
    return sum;
  }

  static FloatVector floats(long address) {
    return FloatVector.fromMemorySegment(SPECIES, ALL, address, ORDER);
  }

  static IntVector pairs(long address) {
    return IntVector.fromMemorySegment(INTS, ALL, address, ORDER);
  }

  static FloatVector even(IntVector pairs) {
    return pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  static FloatVector odd(IntVector pairs) {
    return pairs.and(UPPER).reinterpretAsFloats();
  }
}
