package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Activations of F32 numbers over whole vectors in memory, each loop compiled for itself as {@link
 * PointwiseLoops} are; in and out may be the same. A loop named …Slope writes value and derivative.
 */
final class ActivationLoops {
  private static final float ROOT = (float) Math.sqrt(2 / Math.PI);
  private static final float CUBE = 0.044715f;
  private static final FloatVector LINEAR = FloatVector.broadcast(SPECIES, 2 * ROOT);
  private static final FloatVector CUBIC = FloatVector.broadcast(SPECIES, 2 * ROOT * CUBE);
  private static final FloatVector CUBIC3 = FloatVector.broadcast(SPECIES, 6 * ROOT * CUBE);
  private static final FloatVector DENSITY =
      FloatVector.broadcast(SPECIES, (float) (1 / Math.sqrt(2 * Math.PI)));
  private static final FloatVector MINUS_HALF_LOG2_E =
      FloatVector.broadcast(SPECIES, -0.5f * VectorMath.LOG2_E);
  private static final FloatVector ZERO = FloatVector.zero(SPECIES);
  private static final FloatVector HALF = FloatVector.broadcast(SPECIES, 0.5f);
  private static final FloatVector SIXTH = FloatVector.broadcast(SPECIES, 1f / 6);
  private static final FloatVector TWO = FloatVector.broadcast(SPECIES, 2f);
  private static final FloatVector THREE = FloatVector.broadcast(SPECIES, 3f);
  private static final FloatVector MINUS_THREE = FloatVector.broadcast(SPECIES, -3f);
  private static final FloatVector ONE = FloatVector.broadcast(SPECIES, 1f);

  private ActivationLoops() {}

  /** x·σ(steepness·x). */
  static void sigmoid(long x, float steepness, long out, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      store(v.mul(VectorMath.sigmoid(v.mul(by))), out, i);
    }
  }

  /** x·σ(u(x)), where u is a line and a cube, so that σ(u) is (1 + tanh(u/2)) / 2. */
  static void tanh(long x, long out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      FloatVector u = v.mul(v).fma(CUBIC, LINEAR).mul(v);
      store(v.mul(VectorMath.sigmoid(u)), out, i);
    }
  }

  /** σ(u) of {@link #tanh} of BF16 numbers, F32 in the order of {@link PairLoops}. */
  static void tanhSigmas(long x, long sigma, int n) {
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector pairs = Vectors.pairs(x + at);
      FloatVector v = Vectors.even(pairs);
      FloatVector w = Vectors.odd(pairs);
      store(VectorMath.sigmoid(v.mul(v).fma(CUBIC, LINEAR).mul(v)), sigma + 2 * at, 0);
      // not store: see GateLoops.sigmas
      VectorMath.sigmoid(w.mul(w).fma(CUBIC, LINEAR).mul(w))
          .intoMemorySegment(CpuArray.ALL, sigma + 2 * at + step, Vectors.ORDER);
    }
  }

  /** x·σ(u) and σ + x·u'·σ·(1 - σ). */
  static void tanhSlope(long x, long value, long slope, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      FloatVector square = v.mul(v);
      FloatVector s = VectorMath.sigmoid(square.fma(CUBIC, LINEAR).mul(v));
      store(v.mul(s), value, i);
      FloatVector by = square.fma(CUBIC3, LINEAR).mul(v);
      store(s.sub(s.mul(s)).fma(by, s), slope, i);
    }
  }

  /**
   * d·up·f'(gate) of {@link #tanh} of BF16 numbers.
   *
   * @param sigma of {@link #tanhSigmas}; becomes f(gate)
   */
  static void tanhLeftBf16(long d, long gate, long sigma, long up, long left, int n) {
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector pairs = Vectors.pairs(gate + at);
      IntVector w = Vectors.pairs(up + at);
      IntVector outer = Vectors.pairs(d + at);
      FloatVector v = Vectors.even(pairs);
      FloatVector s = load(sigma + 2 * at, 0);
      store(v.mul(s), sigma + 2 * at, 0);
      FloatVector by = v.mul(v).fma(CUBIC3, LINEAR).mul(v);
      FloatVector evens = s.sub(s.mul(s)).fma(by, s).mul(Vectors.even(w)).mul(Vectors.even(outer));
      v = Vectors.odd(pairs);
      s = load(sigma + 2 * at, LANES);
      store(v.mul(s), sigma + 2 * at, LANES);
      by = v.mul(v).fma(CUBIC3, LINEAR).mul(v);
      FloatVector odds = s.sub(s.mul(s)).fma(by, s).mul(Vectors.odd(w)).mul(Vectors.odd(outer));
      Vectors.narrow(evens, odds, left + at);
    }
  }

  /** x·Φ(x). */
  static void normal(long x, long out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      store(v.mul(VectorMath.normal(v)), out, i);
    }
  }

  /** x·Φ(x) and Φ(x). */
  static void normalSlope(long x, long value, long slope, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      FloatVector whole = VectorMath.normal(v);
      store(v.mul(whole), value, i);
      store(whole, slope, i);
    }
  }

  /** slope += x·φ(x). */
  static void addDensity(long x, long slope, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      FloatVector density = VectorMath.exp2(v.mul(v).mul(MINUS_HALF_LOG2_E)).mul(DENSITY);
      store(v.fma(density, load(slope, i)), slope, i);
    }
  }

  /** max(x, 0). */
  static void relu(long x, long out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      store(v.blend(ZERO, v.compare(VectorOperators.LE, ZERO)), out, i);
    }
  }

  static void reluSlope(long x, long value, long slope, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      var above = v.compare(VectorOperators.GT, ZERO);
      store(v.blend(ZERO, v.compare(VectorOperators.LE, ZERO)), value, i);
      store(ZERO.blend(ONE, above), slope, i);
    }
  }

  /** x / 6 + 1/2 between 0 and 1. */
  static void hardSigmoid(long x, long out, int n) {
    for (int i = 0; i < n; i += LANES) {
      store(load(x, i).fma(SIXTH, HALF).max(ZERO).min(ONE), out, i);
    }
  }

  static void hardSigmoidSlope(long x, long value, long slope, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      var within = v.abs().compare(VectorOperators.LT, THREE);
      store(v.fma(SIXTH, HALF).max(ZERO).min(ONE), value, i);
      store(ZERO.blend(SIXTH, within), slope, i);
    }
  }

  /** x times {@link #hardSigmoid}. */
  static void hardSwish(long x, long out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      store(v.fma(SIXTH, HALF).max(ZERO).min(ONE).mul(v), out, i);
    }
  }

  /** The slope is 0 below -3, 1 above 3, and x / 3 + 1/2 between them. */
  static void hardSwishSlope(long x, long value, long slope, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(x, i);
      FloatVector between = v.mul(SIXTH).fma(TWO, HALF);
      var below = v.compare(VectorOperators.LT, MINUS_THREE);
      var above = v.compare(VectorOperators.GT, THREE);
      store(v.fma(SIXTH, HALF).max(ZERO).min(ONE).mul(v), value, i);
      store(between.blend(ZERO, below).blend(ONE, above), slope, i);
    }
  }
}
