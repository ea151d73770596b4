package io.moextend.backend.cpu;

import io.moextend.backend.Activation;
import jdk.incubator.vector.FloatVector;

/** Activations and their derivatives over whole vectors of a buffer; what pads is overwritten. */
final class Pointwise {
  private static final int LANES = Floats.LANES;
  private static final float QUICK = 1.702f;
  private static final float ROOT = (float) Math.sqrt(2 / Math.PI);
  private static final float CUBE = 0.044715f;
  private static final float DENSITY = (float) (1 / Math.sqrt(2 * Math.PI));

  private Pointwise() {}

  /** out = f(x). Each function has a loop of its own method, small enough to be compiled whole. */
  static void apply(Activation kind, float[] x, float[] out, int n) {
    switch (kind) {
      case SILU -> silu(x, out, n);
      case GELU -> gelu(x, out, n);
      case QUICK_GELU -> quickGelu(x, out, n);
      case GELU_TANH -> geluTanh(x, out, n);
      case RELU -> relu(x, out, n);
    }
  }

  /** out = f'(x). */
  static void derive(Activation kind, float[] x, float[] out, int n) {
    switch (kind) {
      case SILU -> siluSlope(x, out, n);
      case GELU -> geluSlope(x, out, n);
      case QUICK_GELU -> quickGeluSlope(x, out, n);
      case GELU_TANH -> geluTanhSlope(x, out, n);
      case RELU -> reluSlope(x, out, n);
    }
  }

  private static void silu(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = at(x, i);
      v.mul(VectorMath.sigmoid(v)).intoArray(out, i);
    }
  }

  private static void siluSlope(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = at(x, i);
      slope(VectorMath.sigmoid(v), v).intoArray(out, i);
    }
  }

  private static void gelu(float[] x, float[] out, int n) {
    tails(x, out, n);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = at(x, i);
      v.mul(VectorMath.normal(v, at(out, i))).intoArray(out, i);
    }
  }

  private static void geluSlope(float[] x, float[] out, int n) {
    tails(x, out, n);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = at(x, i);
      FloatVector density = VectorMath.exp(v.mul(v).mul(-0.5f)).mul(DENSITY);
      v.fma(density, VectorMath.normal(v, at(out, i))).intoArray(out, i);
    }
  }

  /** The normal distribution's tails; in two loops, as one would be too much to compile whole. */
  private static void tails(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i += LANES) {
      VectorMath.logTail(at(x, i)).intoArray(out, i);
    }
    VectorMath.expTo(out, 0, n);
  }

  private static void quickGelu(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = at(x, i);
      v.mul(VectorMath.sigmoid(v.mul(QUICK))).intoArray(out, i);
    }
  }

  private static void quickGeluSlope(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector u = at(x, i).mul(QUICK);
      slope(VectorMath.sigmoid(u), u).intoArray(out, i);
    }
  }

  private static void geluTanh(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = at(x, i);
      // (1 + tanh u) / 2 is sigmoid(2u).
      v.mul(VectorMath.sigmoid(inner(v))).intoArray(out, i);
    }
  }

  private static void geluTanhSlope(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = at(x, i);
      // x times the derivative of inner(x)
      FloatVector by = v.mul(v.mul(v).mul(3 * CUBE).add(1f)).mul(2 * ROOT);
      slope(VectorMath.sigmoid(inner(v)), by).intoArray(out, i);
    }
  }

  private static void relu(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i++) {
      out[i] = Math.max(x[i], 0f);
    }
  }

  private static void reluSlope(float[] x, float[] out, int n) {
    for (int i = 0; i < n; i++) {
      out[i] = x[i] > 0 ? 1f : 0f;
    }
  }

  /** s + by·s·(1 - s): the derivative of x·s(u(x)) where by = x·u'(x). */
  private static FloatVector slope(FloatVector s, FloatVector by) {
    return s.sub(s.mul(s)).fma(by, s);
  }

  private static FloatVector inner(FloatVector v) {
    return v.mul(v.mul(v).mul(CUBE).add(1f)).mul(2 * ROOT);
  }

  private static FloatVector at(float[] x, int i) {
    return FloatVector.fromArray(Floats.SPECIES, x, i);
  }
}
