package io.moextend.backend.cpu;

/** One row of logits in cross-entropy, by pieces that stay in the first-level cache. */
final class Logits {
  private Logits() {}

  /** One number of an array. */
  static float at(Lane lane, CpuArray from, long element) {
    float[] one = lane.floats(0, 1);
    Floats.load(from, element, 1, one);
    return one[0];
  }

  /** ln Σ e^x over a row. */
  static float logSumExp(Lane lane, CpuArray from, long first, int classes) {
    float max = Float.NEGATIVE_INFINITY;
    int n;
    for (int c = 0; c < classes; c += n) {
      n = Operand.span(classes - c);
      Operand x = in(lane, from, first + c, n);
      max = Math.max(max, ExponentialLoops.max(x.address(), x.width(), n));
    }
    double sum = 0;
    for (int c = 0; c < classes; c += n) {
      n = Operand.span(classes - c);
      Operand x = in(lane, from, first + c, n);
      sum += ExponentialLoops.sum(x.address(), max, x.width(), n);
    }
    return (float) (max + Math.log(sum));
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
      Operand x = Operand.in(lane, 0, from, first + c, n).wide(lane, 1, n);
      Operand out = Operand.out(lane, 2, to, first + c, n);
      Operand wide = out.wideOut(lane, 3, n);
      ExponentialLoops.scaled(x.address(), logSumExp, factor, wide.address(), n);
      if (wanted >= c && wanted < c + n) {
        wide.set(wanted - c, wide.get(wanted - c) - factor);
      }
      out.take(wide, n);
      out.finish(lane, to, first + c, n);
    }
  }
}
