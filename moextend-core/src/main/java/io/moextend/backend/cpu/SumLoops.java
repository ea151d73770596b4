package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.BF16;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;
import static io.moextend.backend.cpu.Vectors.widen;

import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Sums over whole vectors in memory, compiled as {@link PointwiseLoops} are. */
final class SumLoops {
  private static final VectorSpecies<Double> DOUBLES = SPECIES.withLanes(double.class);
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private SumLoops() {}

  /** into += s·a, where into is F32. */
  static void add(long into, float s, long a, int width, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, s);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        store(widen(a, i).fma(by, load(into, i)), into, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).fma(by, load(into, i)), into, i);
      }
    }
  }

  /** into += a, b, c and d in this order, where into is F32; rows from four places at once. */
  static void addFour(long into, long a, long b, long c, long d, int width, int n) {
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector sum = load(into, i).add(widen(a, i)).add(widen(b, i));
        store(sum.add(widen(c, i)).add(widen(d, i)), into, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector sum = load(into, i).add(load(a, i)).add(load(b, i));
        store(sum.add(load(c, i)).add(load(d, i)), into, i);
      }
    }
  }

  /** Σ a·b, F32; two sums side by side, so that an addition need not wait for the one before. */
  static float dot(long a, long b, int n) {
    FloatVector even = FloatVector.zero(SPECIES);
    FloatVector odd = even;
    int whole = n - n % (2 * LANES);
    for (int i = 0; i < whole; i += 2 * LANES) {
      even = load(a, i).fma(load(b, i), even);
      odd = load(a, i + LANES).fma(load(b, i + LANES), odd);
    }
    for (int i = whole; i < n; i += LANES) {
      even = load(a, i).fma(load(b, i), even);
    }
    return VectorMath.total(even.add(odd));
  }

  /** As {@link #dot}, of BF16. */
  static float dotBf16(long a, long b, int n) {
    FloatVector even = FloatVector.zero(SPECIES);
    FloatVector odd = even;
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector x = Vectors.pairs(a + at);
      IntVector y = Vectors.pairs(b + at);
      even = Vectors.even(x).fma(Vectors.even(y), even);
      odd = Vectors.odd(x).fma(Vectors.odd(y), odd);
    }
    return VectorMath.total(even.add(odd));
  }

  /** Adds a², in F64, to the sums of two vectors' lanes at {@code sums}. */
  static void addSquares(long sums, long a, int width, int n) {
    long next = sums + 4L * LANES;
    DoubleVector low = DoubleVector.fromMemorySegment(DOUBLES, CpuArray.ALL, sums, ORDER);
    DoubleVector high = DoubleVector.fromMemorySegment(DOUBLES, CpuArray.ALL, next, ORDER);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector x = widen(a, i);
        var first = x.convertShape(VectorOperators.F2D, DOUBLES, 0).reinterpretAsDoubles();
        var second = x.convertShape(VectorOperators.F2D, DOUBLES, 1).reinterpretAsDoubles();
        low = first.fma(first, low);
        high = second.fma(second, high);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector x = load(a, i);
        var first = x.convertShape(VectorOperators.F2D, DOUBLES, 0).reinterpretAsDoubles();
        var second = x.convertShape(VectorOperators.F2D, DOUBLES, 1).reinterpretAsDoubles();
        low = first.fma(first, low);
        high = second.fma(second, high);
      }
    }
    low.intoMemorySegment(CpuArray.ALL, sums, ORDER);
    high.intoMemorySegment(CpuArray.ALL, next, ORDER);
  }
}
