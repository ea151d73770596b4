package io.moextend.backend.nd4j;

import io.moextend.backend.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Erf;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.ops.transforms.Transforms;

/** Each activation and its slope, composed; ND4J's own GELU is an approximation. */
final class Activations {
  private static final double QUICK = 1.702;
  private static final double ROOT = Math.sqrt(2 / Math.PI);
  private static final double CUBIC = 0.044715;
  private static final double HARD = 3;

  private Activations() {}

  /** f(x), a temporary. */
  static INDArray value(Temporaries t, Activation kind, INDArray x) {
    return switch (kind) {
      case SILU -> sigmoid(t, x, 1).muli(x);
      case QUICK_GELU -> sigmoid(t, x, QUICK).muli(x);
      case GELU -> normalCumulative(t, x).muli(x);
      case GELU_TANH -> tanhShare(t, x).muli(x);
      case RELU -> positive(t, x).muli(x);
      case HARD_SIGMOID -> hardSigmoid(t, x);
      case HARD_SWISH -> hardSigmoid(t, x).muli(x);
    };
  }

  /** f'(x), a temporary. */
  static INDArray slope(Temporaries t, Activation kind, INDArray x) {
    return switch (kind) {
      case SILU -> sigmoidSlope(t, x, 1);
      case QUICK_GELU -> sigmoidSlope(t, x, QUICK);
      case GELU -> {
        // Φ(x) + x φ(x)
        INDArray density =
            Transforms.exp(t.keep(x.mul(x)).muli(-0.5), false).muli(1 / Math.sqrt(2 * Math.PI));
        yield normalCumulative(t, x).addi(density.muli(x));
      }
      case GELU_TANH -> {
        // with h = (1 + tanh u) / 2: h + x · 2 h (1 - h) u'
        INDArray share = tanhShare(t, x);
        INDArray inner = t.keep(x.mul(x)).muli(3 * CUBIC).addi(1).muli(2 * ROOT).muli(x);
        yield share.addi(inner.muli(share).muli(t.keep(share.rsub(1))));
      }
      case RELU -> positive(t, x);
      case HARD_SIGMOID -> t.cast(t.keep(size(t, x).lt(HARD)), x.dataType()).muli(1 / 6.0);
      case HARD_SWISH -> {
        INDArray above = t.cast(t.keep(x.gt(HARD)), x.dataType());
        INDArray within = t.cast(t.keep(size(t, x).lte(HARD)), x.dataType());
        yield t.keep(x.mul(1 / 3.0)).addi(0.5).muli(within).addi(above);
      }
    };
  }

  /** 1 / (1 + e^(-a x)). */
  private static INDArray sigmoid(Temporaries t, INDArray x, double a) {
    return Transforms.sigmoid(t.keep(x.mul(a)), false);
  }

  /** The slope of x σ(a x): s + a x s (1 - s). */
  private static INDArray sigmoidSlope(Temporaries t, INDArray x, double a) {
    INDArray s = sigmoid(t, x, a);
    return t.keep(s.rsub(1)).muli(s).muli(x).muli(a).addi(s);
  }

  /** Φ(x), by the error function. */
  private static INDArray normalCumulative(Temporaries t, INDArray x) {
    INDArray scaled = t.keep(x.mul(Math.sqrt(0.5)));
    Nd4j.getExecutioner().exec(new Erf(scaled, scaled));
    return scaled.addi(1).muli(0.5);
  }

  /** (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2. */
  private static INDArray tanhShare(Temporaries t, INDArray x) {
    INDArray inner = t.keep(x.mul(x)).muli(CUBIC).addi(1).muli(x).muli(ROOT);
    return Transforms.tanh(inner, false).addi(1).muli(0.5);
  }

  /** x / 6 + 1/2, held between 0 and 1. */
  private static INDArray hardSigmoid(Temporaries t, INDArray x) {
    INDArray share = t.keep(x.mul(1 / 6.0)).addi(0.5);
    INDArray above = positive(t, t.keep(share.sub(1)));
    INDArray between = positive(t, share).subi(above);
    return share.muli(between).addi(above);
  }

  /** |x|. */
  private static INDArray size(Temporaries t, INDArray x) {
    return t.keep(Transforms.abs(x, true));
  }

  /** 1 where x is above 0, else 0. */
  private static INDArray positive(Temporaries t, INDArray x) {
    return t.cast(t.keep(x.gt(0)), x.dataType());
  }
}
