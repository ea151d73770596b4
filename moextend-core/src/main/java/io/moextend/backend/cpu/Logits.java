package io.moextend.backend.cpu;

/** One row of logits in cross-entropy, by pieces that stay in the first-level cache. */
final class Logits {
  /** The shift where nothing is larger: -∞ less -∞ would be no number. */
  private static final float LEAST = -Float.MAX_VALUE;

  private static final int PIECE = 2048;

  private Logits() {}

  /** One number of an array. */
  static float at(Lane lane, CpuArray from, long element) {
    float[] one = lane.floats(0, 1);
    Floats.load(from, element, 1, one);
    return one[0];
  }

  /**
   * ln Σ e^x over a row, by pieces: of each the exponentials are taken relative to the largest
   * number so far.
   */
  static float logSumExp(Lane lane, CpuArray from, long first, int classes) {
    long result = Operand.buffer(lane, 1, Vectors.LANES).address();
    float shift = LEAST;
    double sum = 0;
    int n;
    for (int c = 0; c < classes; c += n) {
      n = Operand.span(classes - c);
      Operand x = in(lane, from, first + c, n);
      float max = ExponentialLoops.max(x.address(), x.width(), n);
      if (max > shift) {
        sum *= Math.exp((double) shift - max);
        shift = max;
      }
      if (x.width() == Vectors.BF16) {
        ExponentialLoops.sumBf16(x.address(), shift, result, n);
      } else {
        ExponentialLoops.sum(x.address(), shift, result, n);
      }
      sum += ExponentialLoops.total(result);
    }
    return (float) (shift + Math.log(sum));
  }

  private static Operand in(Lane lane, CpuArray from, long first, int n) {
    Operand x = Operand.in(lane, 0, from, first, n);
    x.pad(n, Float.NEGATIVE_INFINITY);
    return x;
  }

  /** Σ x over a row. */
  static double sum(Lane lane, CpuArray from, long first, int classes) {
    float[] piece = lane.floats(0, Math.min(classes, PIECE));
    double sum = 0;
    for (int c = 0; c < classes; c += PIECE) {
      int n = Math.min(PIECE, classes - c);
      Floats.load(from, first + c, n, piece);
      for (int i = 0; i < n; i++) {
        sum += piece[i];
      }
    }
    return sum;
  }

  /** Takes {@code off} from the numbers of row {@code r}, but from the one at {@code wanted}. */
  static void lower(Lane lane, CpuArray to, int r, int wanted, float off) {
    int classes = CpuDevice.count(to.dim(1));
    float[] piece = lane.floats(0, Math.min(classes, PIECE));
    for (int c = 0; c < classes; c += PIECE) {
      int n = Math.min(PIECE, classes - c);
      long first = (long) r * classes + c;
      Floats.load(to, first, n, piece);
      for (int i = 0; i < n; i++) {
        piece[i] -= c + i == wanted ? 0 : off;
      }
      Floats.store(piece, n, to, first);
    }
  }

  /** factor·(softmax - share at {@code wanted}) of row {@code r}. */
  static void gradient(
      Lane lane,
      CpuArray from,
      CpuArray to,
      int r,
      int wanted,
      float logSumExp,
      float factor,
      double share) {
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
    one[0] = (float) (factor * (p - share));
    Floats.store(one, 1, to, first + wanted);
  }
}
