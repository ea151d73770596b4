package io.moextend.backend.cpu;

/** One row of logits in cross-entropy, by pieces that stay in the first-level cache. */
final class Logits {
  /** The shift where nothing is larger: -∞ less -∞ would be no number. */
  private static final float LEAST = -Float.MAX_VALUE;

  /**
   * How far above the shift a number may be: e^40 times any count of classes is far from infinite.
   */
  private static final float SAFE = 40;

  private Logits() {}

  /** One number of an array. */
  static float at(Lane lane, CpuArray from, long element) {
    float[] one = lane.floats(0, 1);
    Floats.load(from, element, 1, one);
    return one[0];
  }

  /**
   * ln Σ e^x over a row, read once: of each piece the exponentials are taken relative to the
   * largest number before it, and anew where its own largest is so far above that they could
   * overflow.
   */
  static float logSumExp(Lane lane, CpuArray from, long first, int classes) {
    Operand result = Operand.buffer(lane, 1, 2 * Vectors.LANES);
    int n = Math.min(classes, 2 * Vectors.LANES);
    Operand start = in(lane, from, first, n);
    float shift = Math.max(ExponentialLoops.max(start.address(), start.width(), n), LEAST);
    double sum = 0;
    for (int c = 0; c < classes; c += n) {
      n = Operand.span(classes - c);
      Operand x = in(lane, from, first + c, n);
      sumAndMax(x, shift, result, n);
      float max = ExponentialLoops.largest(result.address() + 4L * Vectors.LANES);
      if (max > shift) {
        sum *= Math.exp((double) shift - max);
        if (max - shift > SAFE) {
          sumAndMax(x, max, result, n);
          sum += ExponentialLoops.total(result.address());
        } else {
          sum += ExponentialLoops.total(result.address()) * Math.exp((double) shift - max);
        }
        shift = max;
      } else {
        sum += ExponentialLoops.total(result.address());
      }
    }
    return (float) (shift + Math.log(sum));
  }

  private static void sumAndMax(Operand x, float shift, Operand result, int n) {
    if (x.width() == Vectors.BF16) {
      ExponentialLoops.sumAndMaxBf16(x.address(), shift, result.address(), n);
    } else {
      ExponentialLoops.sumAndMax(x.address(), shift, result.address(), n);
    }
  }

  private static Operand in(Lane lane, CpuArray from, long first, int n) {
    Operand x = Operand.in(lane, 0, from, first, n);
    x.pad(n, Float.NEGATIVE_INFINITY);
    return x;
  }

  /** factor·(softmax - 1 at {@code wanted}) of row {@code r}. */
  static void gradient(
      Lane lane, CpuArray from, CpuArray to, int r, int wanted, float logSumExp, float factor) {
    int classes = CpuDevice.count(from.dim(1));
    long first = (long) r * classes;
    int n;
    for (int c = 0; c < classes; c += n) {
      n = Operand.span(classes - c);
      Operand x = Operand.in(lane, 0, from, first + c, n);
      Operand out = Operand.out(lane, 1, to, first + c, n);
      if (x.width() == Vectors.F32) {
        ExponentialLoops.scaled(x.address(), logSumExp, factor, out.address(), n);
      }
      for (int i = 0; x.width() == Vectors.BF16 && i < n; i += Pointwise.STRETCH) {
        int m = Math.min(Pointwise.STRETCH, n - i);
        Operand wide = Operand.buffer(lane, 2, m);
        ExponentialLoops.scaledBf16(x.from(i).address(), logSumExp, factor, wide.address(), m);
        out.from(i).pack(wide, m);
      }
      out.finish(lane, to, first + c, n);
    }
    double p = Math.exp((double) at(lane, from, first + wanted) - logSumExp);
    float[] one = lane.floats(0, 1);
    one[0] = (float) (factor * (p - 1));
    Floats.store(one, 1, to, first + wanted);
  }
}
