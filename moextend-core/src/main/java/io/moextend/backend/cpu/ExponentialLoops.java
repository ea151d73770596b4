package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.BF16;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;
import static io.moextend.backend.cpu.Vectors.widen;

import jdk.incubator.vector.FloatVector;
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
   * Σ e^(x - shift), F32, to {@code result} and the largest x to the number after it. What pads x
   * has to be -∞.
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
    CpuArray.ALL.set(CpuArray.FLOAT, result, VectorMath.total(sum));
    CpuArray.ALL.set(CpuArray.FLOAT, result + 4, most.reduceLanes(VectorOperators.MAX));
  }

  /** As {@link #sumAndMax}, of BF16. */
  static void sumAndMaxBf16(long x, float shift, long result, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, shift);
    FloatVector sum = FloatVector.zero(SPECIES);
    FloatVector most = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = widen(x, i);
      sum = sum.add(VectorMath.exp(v.sub(by)));
      most = VectorMath.larger(most, v);
    }
    CpuArray.ALL.set(CpuArray.FLOAT, result, VectorMath.total(sum));
    CpuArray.ALL.set(CpuArray.FLOAT, result + 4, most.reduceLanes(VectorOperators.MAX));
  }

  /** out = s·e^(x - shift), F32. */
  static void scaled(long x, float shift, float s, long out, int n) {
    FloatVector minus = FloatVector.broadcast(SPECIES, shift);
    FloatVector by = FloatVector.broadcast(SPECIES, s);
    for (int i = 0; i < n; i += LANES) {
      store(VectorMath.exp(load(x, i).sub(minus)).mul(by), out, i);
    }
  }
}
