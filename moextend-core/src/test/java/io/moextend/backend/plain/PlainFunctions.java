package io.moextend.backend.plain;

import io.moextend.backend.Activation;

/** Activations of one number, and their slopes by formulas of their own. */
final class PlainFunctions {
  private PlainFunctions() {}

  static double value(Activation kind, double x) {
    return switch (kind) {
      case SILU -> x * logistic(x);
      case QUICK_GELU -> x * logistic(1.702 * x);
      case GELU -> x * normal(x);
      case GELU_TANH -> x * (1 + Math.tanh(inner(x))) / 2;
      case RELU -> Math.max(x, 0);
      case HARD_SIGMOID -> Math.clamp((x + 3) / 6, 0.0, 1.0);
      case HARD_SWISH -> x * Math.clamp((x + 3) / 6, 0.0, 1.0);
    };
  }

  static double slope(Activation kind, double x) {
    return switch (kind) {
      case SILU -> logistic(x) + x * logistic(x) * logistic(-x);
      case QUICK_GELU ->
          logistic(1.702 * x) + 1.702 * x * logistic(1.702 * x) * logistic(-1.702 * x);
      case GELU -> normal(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
      case GELU_TANH -> {
        double tanh = Math.tanh(inner(x));
        double innerSlope = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
        yield (1 + tanh) / 2 + x * (1 - tanh * tanh) * innerSlope / 2;
      }
      case RELU -> x > 0 ? 1 : 0;
      case HARD_SIGMOID -> Math.abs(x) < 3 ? 1 / 6.0 : 0;
      case HARD_SWISH -> x < -3 ? 0 : x > 3 ? 1 : (2 * x + 3) / 6;
    };
  }

  private static double logistic(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static double inner(double x) {
    return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
  }

  /**
   * The normal distribution function by its series 1/2 + φ(x) Σ x^(2n+1) / (1·3·5…(2n+1)); exact to
   * rounding for the small x of the tests.
   */
  private static double normal(double x) {
    if (Math.abs(x) > 9) { // 1e-19 from its limit
      return x > 0 ? 1 : 0;
    }
    double term = x;
    double sum = x;
    for (int n = 1; n < 400 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= x * x / (2 * n + 1);
      sum += term;
    }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }
}
