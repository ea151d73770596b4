package io.moextend.backend.cpu;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Functions and sums in F32 over whole vectors. The polynomials are Chebyshev fits of our own;
 * their errors stand beside them. The same on every CPU with vectors of one width.
 */
final class VectorMath {
  private static final VectorSpecies<Float> SPECIES = Floats.SPECIES;
  private static final int LANES = Floats.LANES;

  static final double LN_2 = 0x1.62e42fefa39efp-1;
  static final float LOG2_E = (float) (1 / Math.log(2));
  // ln 2 in two pieces, the first with few bits so that its product with a whole number is exact.
  private static final float LN2_HIGH = 0.693359375f;
  private static final float LN2_LOW = (float) (Math.log(2) - 0.693359375);
  private static final float EXP_MAX = 88.72283f;
  private static final float EXP_MIN = -87.33654f;
  private static final float TO_WHOLE = 0x1.8p23f;

  /** Vectors made once: to make them in the loop is more than can be compiled into it. */
  private static final List<FloatVector> TAIL =
      Stream.of(
              -5.409155e-11f,
              2.940449e-9f,
              -7.121877e-8f,
              1.0096046e-6f,
              -9.192061e-6f,
              5.4324356e-5f,
              -1.8170808e-4f,
              -5.0456987e-5f,
              4.90313e-3f,
              -3.642637e-2f,
              -3.1827590e-1f,
              -7.9788947e-1f,
              -6.9314706e-1f)
          .map(VectorMath::set)
          .toList();

  private VectorMath() {}

  /** e^x; relative error below 2e-7, infinity above 88.72, 0 below -87.33. */
  static FloatVector exp(FloatVector x) {
    // x = k ln 2 + r; adding 1.5·2^23 rounds to a whole number and leaves it in the low bits.
    FloatVector t = x.fma(set(LOG2_E), set(TO_WHOLE));
    FloatVector k = t.sub(TO_WHOLE);
    FloatVector r = k.fma(set(-LN2_HIGH), x);
    r = k.fma(set(-LN2_LOW), r);
    FloatVector p = set(0.0013944651f);
    p = p.fma(r, set(0.008371946f));
    p = p.fma(r, set(0.04166628f));
    p = p.fma(r, set(0.16666456f));
    p = p.fma(r, set(0.5f));
    p = p.fma(r, set(1f));
    p = p.fma(r, set(1f));
    // times 2^k, by adding k to the exponent
    IntVector shifted = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector scaled = p.reinterpretAsInts().add(shifted).reinterpretAsFloats();
    return scaled
        .blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, EXP_MAX))
        .blend(0f, x.compare(VectorOperators.LT, EXP_MIN))
        .blend(Float.NaN, x.test(VectorOperators.IS_NAN));
  }

  /**
   * 2^x of what is not above 0; relative error below 2e-7, 0 below -126. Small enough to be
   * compiled into loops with two of them.
   */
  static FloatVector exp2(FloatVector x) {
    FloatVector t = x.add(TO_WHOLE);
    FloatVector r = x.sub(t.sub(TO_WHOLE));
    FloatVector p = set(0.0013264727f);
    p = p.fma(r, set(0.009671513f));
    p = p.fma(r, set(0.055507336f));
    p = p.fma(r, set(0.24022242f));
    p = p.fma(r, set(0.693147f));
    p = p.fma(r, set(1f));
    IntVector whole = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector scaled = p.reinterpretAsInts().add(whole).reinterpretAsFloats();
    return scaled.blend(0f, x.compare(VectorOperators.LT, -126f));
  }

  /** 1 / (1 + e^-x). */
  static FloatVector sigmoid(FloatVector x) {
    return set(1f).div(exp(x.neg()).add(1f));
  }

  /**
   * The normal distribution function, given {@code exp(logTail(x))}: in steps small enough to be
   * compiled into their callers. Absolute error below 1e-7, relative 2e-5 at -8.
   */
  static FloatVector normal(FloatVector x, FloatVector tail) {
    return set(1f).sub(tail).blend(tail, x.compare(VectorOperators.LT, 0f));
  }

  /** ln of the normal distribution's tail beyond |x|, as beyond 8 from there on. */
  static FloatVector logTail(FloatVector x) {
    FloatVector t = x.abs();
    t = t.blend(8f, t.compare(VectorOperators.GT, 8f));
    FloatVector p = TAIL.get(0).fma(t, TAIL.get(1));
    for (int i = 2; i < 13; i++) {
      p = p.fma(t, TAIL.get(i));
    }
    return p;
  }

  private static FloatVector set(float value) {
    return FloatVector.broadcast(SPECIES, value);
  }

  static FloatVector at(float[] x, int i) {
    return FloatVector.fromArray(SPECIES, x, i);
  }

  /** sum += s·x over n values. */
  static void addTo(float[] sum, float s, float[] x, int n) {
    for (int i = 0; i < n; i++) {
      sum[i] += s * x[i];
    }
  }

  /** a *= b. */
  static void multiply(float[] a, float[] b, int n) {
    for (int i = 0; i < n; i++) {
      a[i] *= b[i];
    }
  }

  private static final VectorShuffle<Float> BY_8 = by(8);
  private static final VectorShuffle<Float> BY_4 = by(4);
  private static final VectorShuffle<Float> BY_2 = by(2);
  private static final VectorShuffle<Float> BY_1 = by(1);

  private static VectorShuffle<Float> by(int offset) {
    return VectorShuffle.fromOp(SPECIES, i -> (i + offset) % LANES);
  }

  /**
   * The sum of a vector's lanes, halves folded onto each other. Not reduceLanes: its order of
   * addition is left open, and compiled and interpreted code do differ. No loop, which would keep
   * callers' loops from being compiled to vectors alone.
   */
  static float total(FloatVector v) {
    FloatVector a = LANES > 8 ? v.add(v.rearrange(BY_8)) : v;
    FloatVector b = LANES > 4 ? a.add(a.rearrange(BY_4)) : a;
    FloatVector c = b.add(b.rearrange(BY_2));
    return c.add(c.rearrange(BY_1)).lane(0);
  }

  /** Σ x; what pads the last vector must be 0, here and below. */
  static float sum(float[] x, int n) {
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    int i = 0;
    for (; i <= n - 2 * LANES; i += 2 * LANES) {
      a = a.add(at(x, i));
      b = b.add(at(x, i + LANES));
    }
    for (; i < n; i += LANES) {
      a = a.add(at(x, i));
    }
    return total(a.add(b));
  }

  /** Σ x·y. */
  static float dot(float[] x, float[] y, int n) {
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    int i = 0;
    for (; i <= n - 2 * LANES; i += 2 * LANES) {
      a = at(x, i).fma(at(y, i), a);
      b = at(x, i + LANES).fma(at(y, i + LANES), b);
    }
    for (; i < n; i += LANES) {
      a = at(x, i).fma(at(y, i), a);
    }
    return total(a.add(b));
  }

  /** The largest of n values, -∞ for none; overwrites what pads the last vector with -∞. */
  static float max(float[] x, int n) {
    Arrays.fill(x, n, Floats.padded(n), Float.NEGATIVE_INFINITY);
    FloatVector a = set(Float.NEGATIVE_INFINITY);
    for (int i = 0; i < n; i += LANES) {
      a = larger(a, at(x, i));
    }
    return a.reduceLanes(VectorOperators.MAX);
  }

  /** The larger of each lane; cheaper than max, which keeps NaN and the sign of zero. */
  static FloatVector larger(FloatVector a, FloatVector b) {
    return b.blend(a, a.compare(VectorOperators.GT, b));
  }

  /** The largest lane; quicker than reduceLanes, with {@link #larger}'s view of NaN. */
  static float largest(FloatVector v) {
    FloatVector a = LANES > 8 ? larger(v, v.rearrange(BY_8)) : v;
    FloatVector b = LANES > 4 ? larger(a, a.rearrange(BY_4)) : a;
    FloatVector c = larger(b, b.rearrange(BY_2));
    return larger(c, c.rearrange(BY_1)).lane(0);
  }

  /** x = e^(x - shift); returns the sum. What pads the last vector becomes 0 where it was -∞. */
  static float expTo(float[] x, float shift, int n) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < n; i += LANES) {
      FloatVector e = exp(at(x, i).sub(shift));
      e.intoArray(x, i);
      sum = sum.add(e);
    }
    return total(sum);
  }

  /** x *= s. */
  static void scale(float[] x, float s, int n) {
    for (int i = 0; i < n; i++) {
      x[i] *= s;
    }
  }
}
