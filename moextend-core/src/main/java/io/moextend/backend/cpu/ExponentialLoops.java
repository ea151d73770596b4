package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.CpuArray.ALL;
import static io.moextend.backend.cpu.Vectors.BF16;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.ORDER;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/** Loops of softmax and its losses, compiled as {@link PointwiseLoops} are. */
final class ExponentialLoops {
  private ExponentialLoops() {}

  /** The largest; -∞ where all are NaN. What pads x has to be -∞. */
  static float max(long x, int width, int n) {
    FloatVector a = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    FloatVector b = a;
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector v = Vectors.pairs(x + at);
        a = VectorMath.larger(a, Vectors.even(v));
        b = VectorMath.larger(b, Vectors.odd(v));
      }
    } else {
      int whole = n - n % (2 * LANES);
      for (int i = 0; i < whole; i += 2 * LANES) {
        a = VectorMath.larger(a, load(x, i));
        b = VectorMath.larger(b, load(x, i + LANES));
      }
      for (int i = whole; i < n; i += LANES) {
        a = VectorMath.larger(a, load(x, i));
      }
    }
    return VectorMath.largest(VectorMath.larger(a, b));
  }

  /**
   * Σ e^(x - shift), F32: each lane's to the vector at {@code result}, for {@link #total}. What
   * pads x has to be -∞.
   */
  static void sum(long x, float shift, long result, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, shift);
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < n; i += LANES) {
      sum = sum.add(VectorMath.exp(load(x, i).sub(by)));
    }
    store(sum, result, 0);
  }

  /** As {@link #sum}, of BF16, where no x is much above the shift. */
  static void sumBf16(long x, float shift, long result, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, shift);
    FloatVector even = FloatVector.zero(SPECIES);
    FloatVector odd = even;
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector pairs = Vectors.pairs(x + at);
      FloatVector v = Vectors.even(pairs).sub(by).mul(VectorMath.LOG2_E);
      FloatVector w = Vectors.odd(pairs).sub(by).mul(VectorMath.LOG2_E);
      even = even.add(VectorMath.exp2(v));
      odd = odd.add(VectorMath.exp2(w));
    }
    // not store: see GateLoops.sigmas
    even.add(odd).intoMemorySegment(ALL, result, ORDER);
  }

  /** The sum of a vector's lanes. */
  static float total(long vector) {
    return VectorMath.total(load(vector, 0));
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
