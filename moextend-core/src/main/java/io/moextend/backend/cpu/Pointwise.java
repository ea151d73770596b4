package io.moextend.backend.cpu;

import io.moextend.backend.Activation;

/** Activations, gates and their derivatives over whole vectors in memory. */
final class Pointwise {
  /** Buffers for a value and a derivative. */
  static final int VALUE = 6;

  static final int SLOPE = 7;

  private static final int WIDE = 8;
  private static final int SPARE = 9;
  private static final float QUICK = 1.702f;

  private Pointwise() {}

  /**
   * f(x).
   *
   * @param value F32
   */
  static void apply(Lane lane, Activation kind, Operand x, Operand value, int n) {
    long a = x.wide(lane, WIDE, n).address();
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
    }
  }

  /** out = f(x), of one width. */
  static void activate(Lane lane, Activation kind, Operand x, Operand out, int n) {
    if (x.width() == Vectors.BF16) {
      long a = x.address();
      long to = out.address();
      switch (kind) {
        case SILU -> ActivationLoops.sigmoidBf16(a, 1, to, n);
        case QUICK_GELU -> ActivationLoops.sigmoidBf16(a, QUICK, to, n);
        case GELU_TANH -> ActivationLoops.tanhBf16(a, to, n);
        case RELU -> ActivationLoops.reluBf16(a, to, n);
        case GELU -> {
          Operand value = Operand.buffer(lane, VALUE, n);
          apply(lane, kind, x, value, n);
          out.take(value, n);
        }
      }
      return;
    }
    apply(lane, kind, x, out, n);
  }

  /** out = f(gate)·up, all of one width. */
  static void gate(Lane lane, Activation kind, Operand gate, Operand up, Operand out, int n) {
    boolean steep = kind == Activation.SILU || kind == Activation.QUICK_GELU;
    if (steep && gate.width() == Vectors.BF16) {
      float steepness = kind == Activation.SILU ? 1 : QUICK;
      ActivationLoops.sigmoidGateBf16(gate.address(), steepness, up.address(), out.address(), n);
      return;
    }
    Operand value = Operand.buffer(lane, VALUE, n);
    apply(lane, kind, gate, value, n);
    PointwiseLoops.multiply(value.address(), up.address(), out.address(), out.width(), n);
  }

  /**
   * f(x) and f'(x).
   *
   * @param value F32, as is {@code slope}
   */
  static void derive(Lane lane, Activation kind, Operand x, Operand value, Operand slope, int n) {
    long f = value.address();
    long d = slope.address();
    boolean steep = kind == Activation.SILU || kind == Activation.QUICK_GELU;
    if (steep && x.width() == Vectors.BF16) {
      float steepness = kind == Activation.SILU ? 1 : QUICK;
      ActivationLoops.sigmoidSlopeBf16(x.address(), steepness, f, d, n);
      return;
    }
    long a = x.wide(lane, WIDE, n).address();
    switch (kind) {
      case SILU -> ActivationLoops.sigmoidSlope(a, 1, f, d, n);
      case QUICK_GELU -> ActivationLoops.sigmoidSlope(a, QUICK, f, d, n);
      case GELU_TANH -> ActivationLoops.tanhSlope(a, f, d, n);
      case GELU -> {
        ActivationLoops.logTail(a, d, n);
        ActivationLoops.normalSlope(a, d, f, d, n);
        ActivationLoops.addDensity(a, d, n);
      }
      case RELU -> ActivationLoops.reluSlope(a, f, d, n);
    }
  }

  /** Both halves of a gate's gradient: left = slope·up·d and right = value·d. */
  static void gates(
      Operand slope, Operand value, Operand up, Operand d, Operand left, Operand right, int n) {
    long outer = d.address();
    if (up.width() == Vectors.BF16) {
      PointwiseLoops.gatesBf16(
          slope.address(),
          value.address(),
          up.address(),
          outer,
          left.address(),
          right.address(),
          n);
    } else {
      PointwiseLoops.gates(
          slope.address(),
          value.address(),
          up.address(),
          outer,
          left.address(),
          right.address(),
          n);
    }
  }
}
