package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.CpuArray.ALL;
import static io.moextend.backend.cpu.Vectors.BF16;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.ORDER;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;
import static io.moextend.backend.cpu.Vectors.widen;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/** Loops of softmax and its losses, compiled as {@link PointwiseLoops} are. */
final class ExponentialLoops {
  private ExponentialLoops() {}

  /** The largest; -∞ where all are NaN. What pads x has to be -∞. */
  static float max(long x, int width, int n) {
    FloatVector even = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    FloatVector odd = even;
    int whole = n - n % (2 * LANES);
    if (width == BF16) {
      for (int i = 0; i < whole; i += 2 * LANES) {
        even = VectorMath.larger(even, widen(x, i));
        odd = VectorMath.larger(odd, widen(x, i + LANES));
      }
      for (int i = whole; i < n; i += LANES) {
        even = VectorMath.larger(even, widen(x, i));
      }
    } else {
      for (int i = 0; i < whole; i += 2 * LANES) {
        even = VectorMath.larger(even, load(x, i));
        odd = VectorMath.larger(odd, load(x, i + LANES));
      }
      for (int i = whole; i < n; i += LANES) {
        even = VectorMath.larger(even, load(x, i));
      }
    }
    return VectorMath.larger(even, odd).reduceLanes(VectorOperators.MAX);
  }

  /**
   * Σ e^(x - shift), F32, and the largest x: each lane's to the two vectors at {@code result}, for
   * {@link #total} and {@link #largest}. What pads x has to be -∞.
   */
  static void sumAndMax(long x, float shift, long result, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, shift);
    FloatVector sum = FloatVector.zero(SPECIES);
    FloatVector most = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      sum = sum.add(VectorMath.exp(v.sub(by)));
      most = VectorMath.larger(most, v);
    }
    store(sum, result, 0);
    store(most, result, LANES);
  }

  /** As {@link #sumAndMax}, of BF16; a sum that overflows may be any number. */
  static void sumAndMaxBf16(long x, float shift, long result, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, shift);
    FloatVector even = FloatVector.zero(SPECIES);
    FloatVector odd = even;
    FloatVector most = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector pairs = Vectors.pairs(x + at);
      FloatVector v = Vectors.even(pairs);
      FloatVector w = Vectors.odd(pairs);
      most = VectorMath.larger(VectorMath.larger(most, v), w);
      even = even.add(VectorMath.exp2(v.sub(by).mul(VectorMath.LOG2_E)));
      odd = odd.add(VectorMath.exp2(w.sub(by).mul(VectorMath.LOG2_E)));
    }
    // not store: see GateLoops.sigmas
    even.add(odd).intoMemorySegment(ALL, result, ORDER);
    most.intoMemorySegment(ALL, result + step, ORDER);
  }

  /** The sum of a vector's lanes. */
  static float total(long vector) {
    return VectorMath.total(load(vector, 0));
  }

  /** The largest of a vector's lanes. */
  static float largest(long vector) {
    return VectorMath.largest(load(vector, 0));
  }

  /** out = s·e^(x - shift), F32. */
  static void scaled(long x, float shift, float s, long out, int n) {
    FloatVector minus = FloatVector.broadcast(SPECIES, shift);
    FloatVector by = FloatVector.broadcast(SPECIES, s);
    for (int i = 0; i < n; i += LANES) {
      store(VectorMath.exp(load(x, i).sub(minus)).mul(by), out, i);
    }
  }

  /**
   * As {@link #scaled}, of BF16, where no x is much above the shift.
   *
   * @param out F32 in the order of {@link PairLoops}
   */
  static void scaledBf16(long x, float shift, float s, long out, int n) {
    FloatVector minus = FloatVector.broadcast(SPECIES, shift);
    FloatVector by = FloatVector.broadcast(SPECIES, s);
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector pairs = Vectors.pairs(x + at);
      FloatVector v = Vectors.even(pairs).sub(minus).mul(VectorMath.LOG2_E);
      FloatVector w = Vectors.odd(pairs).sub(minus).mul(VectorMath.LOG2_E);
      store(VectorMath.exp2(v).mul(by), out + 2 * at, 0);
      // not store: see GateLoops.sigmas
      VectorMath.exp2(w).mul(by).intoMemorySegment(ALL, out + 2 * at + step, ORDER);
    }
  }
}
