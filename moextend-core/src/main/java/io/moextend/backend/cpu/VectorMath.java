package io.moextend.backend.cpu;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Functions and sums in F32 over whole vectors. The polynomials are fits of our own; their errors
 * stand beside them. The same on every CPU with vectors of one width.
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

  private VectorMath() {}

  private static final FloatVector BY_LOG2_E = set(LOG2_E);
  private static final FloatVector BY_LN2_HIGH = set(-LN2_HIGH);
  private static final FloatVector BY_LN2_LOW = set(-LN2_LOW);
  private static final FloatVector WHOLE = set(TO_WHOLE);
  private static final FloatVector MAX = set(EXP_MAX);
  private static final FloatVector MIN = set(EXP_MIN);
  private static final FloatVector C6 = set(0.0013944651f);
  private static final FloatVector C5 = set(0.008371946f);
  private static final FloatVector C4 = set(0.04166628f);
  private static final FloatVector C3 = set(0.16666456f);
  private static final FloatVector C2 = set(0.5f);
  private static final FloatVector ONE = set(1f);
  private static final FloatVector ZERO = set(0f);
  private static final FloatVector BY_MINUS_LOG2_E = set(-LOG2_E);
  private static final FloatVector INFINITY = set(Float.POSITIVE_INFINITY);

  /** e^x; relative error below 2e-7, infinity above 88.72, 0 below -87.33. */
  static FloatVector exp(FloatVector x) {
    // x = k ln 2 + r; adding 1.5·2^23 rounds to a whole number and leaves it in the low bits.
    FloatVector t = x.fma(BY_LOG2_E, WHOLE);
    FloatVector k = t.sub(WHOLE);
    FloatVector r = k.fma(BY_LN2_LOW, k.fma(BY_LN2_HIGH, x));
    // pairs of terms side by side, so that few wait for one another
    FloatVector square = r.mul(r);
    FloatVector upper = C6.fma(r, C5).fma(square, C4.fma(r, C3));
    FloatVector p = upper.fma(square, C2.fma(r, ONE)).fma(r, ONE);
    // times 2^k, by adding k to the exponent; a NaN stays one, as its k is 0
    IntVector shifted = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector scaled = p.reinterpretAsInts().add(shifted).reinterpretAsFloats();
    return scaled
        .blend(INFINITY, x.compare(VectorOperators.GT, MAX))
        .blend(ZERO, x.compare(VectorOperators.LT, MIN));
  }

  private static final FloatVector P5 = set(0.0013264727f);
  private static final FloatVector P4 = set(0.009671513f);
  private static final FloatVector P3 = set(0.055507336f);
  private static final FloatVector P2 = set(0.24022242f);
  private static final FloatVector P1 = set(0.693147f);
  private static final FloatVector LEAST = set(-126f);

  /** 2^x of what is below 127; relative error below 2e-7, 0 below -126. */
  static FloatVector exp2(FloatVector x) {
    FloatVector t = x.add(WHOLE);
    FloatVector r = x.sub(t.sub(WHOLE));
    FloatVector square = r.mul(r); // in three parts at once, so that steps do not wait
    FloatVector p = P5.fma(r, P4).fma(square, P3.fma(r, P2)).fma(square, P1.fma(r, ONE));
    IntVector shifted = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector scaled = p.reinterpretAsInts().add(shifted).reinterpretAsFloats();
    return scaled.blend(ZERO, x.compare(VectorOperators.LT, LEAST));
  }

  /** 1 / (1 + e^-x): with e = e^-|x|, which cannot overflow, 1 / (1 + e) or e / (1 + e). */
  static FloatVector sigmoid(FloatVector x) {
    FloatVector y = x.abs().mul(BY_MINUS_LOG2_E);
    FloatVector t = y.add(WHOLE);
    FloatVector r = y.sub(t.sub(WHOLE));
    FloatVector square = r.mul(r);
    FloatVector upper = P5.fma(r, P4).fma(square, P3.fma(r, P2));
    FloatVector p = upper.fma(square, P1.fma(r, ONE));
    IntVector whole = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector e = p.reinterpretAsInts().add(whole).reinterpretAsFloats();
    FloatVector tail = e.blend(ZERO, y.compare(VectorOperators.LT, LEAST));
    return ONE.blend(tail, x.compare(VectorOperators.LT, ZERO)).div(tail.add(ONE));
  }

  private static final FloatVector N0 = set(0.39894183f);
  private static final FloatVector N1 = set(0.052056814f);
  private static final FloatVector N2 = set(5.6984344e-3f);
  private static final FloatVector N3 = set(3.4145787e-4f);
  private static final FloatVector N4 = set(6.2616043e-6f);
  private static final FloatVector M1 = set(0.29714645f);
  private static final FloatVector M2 = set(0.038821623f);
  private static final FloatVector M3 = set(2.8625891e-3f);
  private static final FloatVector M4 = set(1.2246874e-4f);
  private static final FloatVector M5 = set(5.2957249e-7f);
  private static final FloatVector HALF = set(0.5f);
  // The square from which on the function is 0 or 1.
  private static final IntVector FAR = set(5.3f * 5.3f).reinterpretAsInts();

  /** The normal distribution function; absolute error below 3e-7. */
  static FloatVector normal(FloatVector x) {
    // squares are compared as whole numbers, which takes one step
    FloatVector z = x.mul(x).reinterpretAsInts().min(FAR).reinterpretAsFloats();
    FloatVector square = z.mul(z);
    FloatVector above = N4.fma(square, N3.fma(z, N2)).fma(square, N1.fma(z, N0));
    FloatVector below = M5.fma(z, M4).fma(square, M3.fma(z, M2)).fma(square, M1.fma(z, ONE));
    FloatVector y = above.div(below).fma(x, HALF);
    return y.blend(ZERO, y.compare(VectorOperators.LT, ZERO))
        .blend(ONE, y.compare(VectorOperators.GT, ONE));
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
