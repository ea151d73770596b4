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

  /** Σ e^(x - shift); what pads x has to be -∞. */
  static float sum(long x, float shift, int width, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, shift);
    FloatVector sum = FloatVector.zero(SPECIES);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        sum = sum.add(VectorMath.exp(widen(x, i).sub(by)));
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        sum = sum.add(VectorMath.exp(load(x, i).sub(by)));
      }
    }
    return VectorMath.total(sum);
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
