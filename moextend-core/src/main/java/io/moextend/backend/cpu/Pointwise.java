package io.moextend.backend.cpu;

import io.moextend.backend.Activation;

/** Activations, gates and their derivatives over whole vectors in memory. */
final class Pointwise {
  /** Buffers for a value and a derivative. */
  private static final int VALUE = 6;

  private static final int SLOPE = 7;
  private static final int WIDE = 8;
  private static final int SPARE = 9;
  private static final float QUICK = 1.702f;

  private Pointwise() {}

  /**
   * f(x).
   *
   * @param value F32, in the order of {@link PairLoops} where x is BF16
   */
  static void apply(Lane lane, Activation kind, Operand x, Operand value, int n) {
    long a = x.unpacked(lane, WIDE, n).address();
    long f = value.address();
    switch (kind) {
      case SILU -> ActivationLoops.sigmoid(a, 1, f, n);
      case QUICK_GELU -> ActivationLoops.sigmoid(a, QUICK, f, n);
      case GELU_TANH -> ActivationLoops.tanh(a, f, n);
      case GELU -> {
        long tail = Operand.buffer(lane, SPARE, n).address();
        ActivationLoops.logTail(a, tail, n);
        ActivationLoops.normal(a, tail, f, n);
      }
      case RELU -> ActivationLoops.relu(a, f, n);
      case HARD_SIGMOID -> ActivationLoops.hardSigmoid(a, f, n);
      case HARD_SWISH -> ActivationLoops.hardSwish(a, f, n);
    }
  }

  /** out = f(x), of one width. */
  static void activate(Lane lane, Activation kind, Operand x, Operand out, int n) {
    if (x.width() == Vectors.F32) {
      apply(lane, kind, x, out, n);
      return;
    }
    Operand value = Operand.buffer(lane, VALUE, n);
    switch (kind) {
      case SILU, QUICK_GELU, GELU_TANH -> {
        factors(kind, x, value, n);
        PointwiseLoops.multiply(value.address(), x.address(), out.address(), out.width(), n);
      }
      case GELU, RELU, HARD_SIGMOID, HARD_SWISH -> {
        apply(lane, kind, x, value, n);
        out.pack(value, n);
      }
    }
  }

  /** f(x) / x of what is made of a sigmoid, from BF16 to F32 in the order of {@link PairLoops}. */
  private static void factors(Activation kind, Operand x, Operand factor, int n) {
    if (kind == Activation.GELU_TANH) {
      ActivationLoops.tanhSigmas(x.address(), factor.address(), n);
    } else {
      GateLoops.sigmas(x.address(), steepness(kind), factor.address(), n);
    }
  }

  /** True where the derivative is made of the sigmoid of a multiple of x. */
  private static boolean steep(Activation kind) {
    return kind == Activation.SILU || kind == Activation.QUICK_GELU;
  }

  private static float steepness(Activation kind) {
    return kind == Activation.QUICK_GELU ? QUICK : 1;
  }

  /** out = f(gate)·up, all of one width. */
  static void gate(Lane lane, Activation kind, Operand gate, Operand up, Operand out, int n) {
    long x = gate.address();
    float steepness = steepness(kind);
    if (!steep(kind)) {
      Operand value = Operand.buffer(lane, VALUE, n);
      apply(lane, kind, gate, value, n);
      PointwiseLoops.multiply(value.address(), up.address(), out.address(), out.width(), n);
    } else if (gate.width() == Vectors.BF16) {
      Operand sigma = Operand.buffer(lane, VALUE, n);
      factors(kind, gate, sigma, n);
      PointwiseLoops.multiply(sigma.address(), x, up.address(), out.address(), out.width(), n);
    } else {
      GateLoops.gate(x, steepness, up.address(), out.address(), n);
    }
  }

  /** out = d·f'(x), all of one width. */
  static void derive(Lane lane, Activation kind, Operand d, Operand x, Operand out, int n) {
    float steepness = steepness(kind);
    if (!steep(kind)) {
      Operand slope = Operand.buffer(lane, SLOPE, n);
      both(lane, kind, x, Operand.buffer(lane, VALUE, n), slope, n);
      PointwiseLoops.multiply(slope.address(), d.address(), out.address(), out.width(), n);
    } else if (x.width() == Vectors.BF16) {
      Operand sigma = Operand.buffer(lane, VALUE, n);
      factors(kind, x, sigma, n);
      GateLoops.deriveBf16(d.address(), x.address(), steepness, sigma.address(), out.address(), n);
    } else {
      GateLoops.derive(d.address(), x.address(), steepness, out.address(), n);
    }
  }

  /**
   * left = d·up·f'(gate) and right = d·f(gate), all of one width; left may be gate where right is
   * up.
   */
  static void gates(
      Lane lane,
      Activation kind,
      Operand d,
      Operand gate,
      Operand up,
      Operand left,
      Operand right,
      int n) {
    long outer = d.address();
    long x = gate.address();
    float steepness = steepness(kind);
    long value = Operand.buffer(lane, VALUE, n).address();
    if (!steep(kind)) {
      Operand slope = Operand.buffer(lane, SLOPE, n);
      both(lane, kind, gate, new Operand(value, Vectors.F32), slope, n);
      long by = slope.address();
      PointwiseLoops.multiply(by, up.address(), outer, left.address(), left.width(), n);
      PointwiseLoops.multiply(value, outer, right.address(), right.width(), n);
    } else if (gate.width() == Vectors.BF16) {
      factors(kind, gate, new Operand(value, Vectors.F32), n);
      GateLoops.leftBf16(outer, x, steepness, value, up.address(), left.address(), n);
      PointwiseLoops.multiply(value, outer, right.address(), right.width(), n);
    } else {
      GateLoops.gradients(outer, x, steepness, up.address(), left.address(), right.address(), n);
    }
  }

  /** f(x) and f'(x), F32. */
  private static void both(
      Lane lane, Activation kind, Operand x, Operand value, Operand slope, int n) {
    long a = x.unpacked(lane, WIDE, n).address();
    long f = value.address();
    long d = slope.address();
    switch (kind) {
      case SILU, QUICK_GELU -> throw new IllegalArgumentException(kind + " has loops of its own");
      case GELU_TANH -> ActivationLoops.tanhSlope(a, f, d, n);
      case GELU -> {
        ActivationLoops.logTail(a, d, n);
        ActivationLoops.normalSlope(a, d, f, d, n);
        ActivationLoops.addDensity(a, d, n);
      }
      case RELU -> ActivationLoops.reluSlope(a, f, d, n);
      case HARD_SIGMOID -> ActivationLoops.hardSigmoidSlope(a, f, d, n);
      case HARD_SWISH -> ActivationLoops.hardSwishSlope(a, f, d, n);
    }
  }
}
