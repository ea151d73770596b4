package io.moextend.backend.cpu;

import io.moextend.backend.Activation;

/** Activations, gates and their derivatives over whole vectors in memory. */
final class Pointwise {
  /** Buffers for a value and a derivative. */
  private static final int VALUE = 6;

  private static final int SLOPE = 7;
  private static final int WIDE = 8;
  private static final float QUICK = 1.702f;

  /**
   * Numbers that several loops take in turn: few enough that what the first one reads ahead lasts
   * until the last one is done.
   */
  static final int STRETCH = 512;

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
      case GELU -> ActivationLoops.normal(a, f, n);
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
    for (int i = 0; i < n; i += STRETCH) {
      activateBf16(lane, kind, x.from(i), out.from(i), Math.min(STRETCH, n - i));
    }
  }

  private static void activateBf16(Lane lane, Activation kind, Operand x, Operand out, int n) {
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

  /** True where σ is made first and what is made of it after. */
  private static boolean isTanhBf16(Activation kind, Operand x) {
    return kind == Activation.GELU_TANH && x.width() == Vectors.BF16;
  }

  private static int stretch(Operand x, int n) {
    return x.width() == Vectors.BF16 ? STRETCH : n;
  }

  private static float steepness(Activation kind) {
    return kind == Activation.QUICK_GELU ? QUICK : 1;
  }

  /** out = f(gate)·up, all of one width. */
  static void gate(Lane lane, Activation kind, Operand gate, Operand up, Operand out, int n) {
    int each = stretch(gate, n);
    for (int i = 0; i < n; i += each) {
      gatePart(lane, kind, gate.from(i), up.from(i), out.from(i), Math.min(each, n - i));
    }
  }

  private static void gatePart(
      Lane lane, Activation kind, Operand gate, Operand up, Operand out, int n) {
    long x = gate.address();
    if (steep(kind) && gate.width() == Vectors.F32) {
      GateLoops.gate(x, steepness(kind), up.address(), out.address(), n);
      return;
    }
    Operand value = Operand.buffer(lane, VALUE, n);
    if (steep(kind) || isTanhBf16(kind, gate)) {
      factors(kind, gate, value, n);
      PointwiseLoops.multiply(value.address(), x, up.address(), out.address(), out.width(), n);
    } else {
      apply(lane, kind, gate, value, n);
      PointwiseLoops.multiply(value.address(), up.address(), out.address(), out.width(), n);
    }
  }

  /** out = d·f'(x), all of one width. */
  static void derive(Lane lane, Activation kind, Operand d, Operand x, Operand out, int n) {
    int each = stretch(x, n);
    for (int i = 0; i < n; i += each) {
      derivePart(lane, kind, d.from(i), x.from(i), out.from(i), Math.min(each, n - i));
    }
  }

  private static void derivePart(
      Lane lane, Activation kind, Operand d, Operand x, Operand out, int n) {
    float steepness = steepness(kind);
    if (steep(kind) && x.width() == Vectors.F32) {
      GateLoops.derive(d.address(), x.address(), steepness, out.address(), n);
      return;
    }
    Operand value = Operand.buffer(lane, VALUE, n);
    if (steep(kind)) {
      factors(kind, x, value, n);
      long sigma = value.address();
      GateLoops.deriveBf16(d.address(), x.address(), steepness, sigma, out.address(), n);
    } else {
      Operand slope = Operand.buffer(lane, SLOPE, n);
      both(lane, kind, x, value, slope, n);
      PointwiseLoops.multiply(slope.address(), d.address(), out.address(), out.width(), n);
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
    int each = stretch(gate, n);
    for (int i = 0; i < n; i += each) {
      int m = Math.min(each, n - i);
      gatesPart(lane, kind, d.from(i), gate.from(i), up.from(i), left.from(i), right.from(i), m);
    }
  }

  private static void gatesPart(
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
    if (steep(kind) && gate.width() == Vectors.F32) {
      GateLoops.gradients(outer, x, steepness, up.address(), left.address(), right.address(), n);
      return;
    }
    Operand value = Operand.buffer(lane, VALUE, n);
    if (steep(kind)) {
      factors(kind, gate, value, n);
      GateLoops.leftBf16(outer, x, steepness, value.address(), up.address(), left.address(), n);
    } else if (isTanhBf16(kind, gate)) {
      factors(kind, gate, value, n);
      ActivationLoops.tanhLeftBf16(outer, x, value.address(), up.address(), left.address(), n);
    } else {
      Operand slope = Operand.buffer(lane, SLOPE, n);
      both(lane, kind, gate, value, slope, n);
      long by = slope.address();
      PointwiseLoops.multiply(by, up.address(), outer, left.address(), left.width(), n);
    }
    PointwiseLoops.multiply(value.address(), outer, right.address(), right.width(), n);
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
        ActivationLoops.normalSlope(a, f, d, n);
        ActivationLoops.addDensity(a, d, n);
      }
      case RELU -> ActivationLoops.reluSlope(a, f, d, n);
      case HARD_SIGMOID -> ActivationLoops.hardSigmoidSlope(a, f, d, n);
      case HARD_SWISH -> ActivationLoops.hardSwishSlope(a, f, d, n);
    }
  }
}
