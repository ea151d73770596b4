package io.moextend.backend.cpu;

import io.moextend.backend.Activation;

/** Activations and their derivatives over whole vectors in memory. */
final class Pointwise {
  private static final float QUICK = 1.702f;

  private Pointwise() {}

  /**
   * f(x); all are buffers of n F32 numbers.
   *
   * @param value may be x
   * @param spare neither
   */
  static void apply(Activation kind, Operand x, Operand value, Operand spare, int n) {
    long a = x.address();
    long f = value.address();
    switch (kind) {
      case SILU -> ActivationLoops.sigmoid(a, 1, f, n);
      case QUICK_GELU -> ActivationLoops.sigmoid(a, QUICK, f, n);
      case GELU_TANH -> ActivationLoops.tanh(a, f, n);
      case GELU -> {
        ActivationLoops.logTail(a, spare.address(), n);
        ActivationLoops.normal(a, spare.address(), f, n);
      }
      case RELU -> ActivationLoops.relu(a, f, n);
    }
  }

  /** f(x) and f'(x); all are buffers of n F32 numbers, and none is another. */
  static void derive(Activation kind, Operand x, Operand value, Operand slope, int n) {
    long a = x.address();
    long f = value.address();
    long d = slope.address();
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
}
