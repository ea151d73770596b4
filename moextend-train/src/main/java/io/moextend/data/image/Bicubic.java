package io.moextend.data.image;

/**
 * Resizing with the bicubic kernel (a = -0.5) widened when the picture shrinks, in the arithmetic
 * of Python's imaging library: first along rows, then along columns, each rounded to 8 bits,
 * weights in 22-bit fixed point. Gives its bytes exactly. Only the wanted window of the result is
 * computed.
 *
 * @see <a href="https://ieeexplore.ieee.org/document/1163711">Keys, Cubic convolution interpolation
 *     for digital image processing</a>
 */
final class Bicubic {
  private static final int PRECISION_BITS = 32 - 8 - 2;
  private static final double REACH = 2.0;

  private Bicubic() {}

  /**
   * @param outWidth of the whole result
   * @param outHeight of the whole result
   * @param left first column of the window
   * @param top first row of the window
   * @return the window of the result, {@code size} x {@code size}
   */
  static RgbImage resize(
      RgbImage image, long outWidth, long outHeight, long left, long top, int size) {
    Weights across = Weights.of(image.width(), outWidth, left, size);
    Weights down = Weights.of(image.height(), outHeight, top, size);
    int firstRow = down.first[0];
    int rows = down.first[size - 1] + down.count[size - 1] - firstRow;
    byte[] narrow = new byte[Math.multiplyExact(3 * size, rows)];
    for (int y = 0; y < rows; y++) {
      int from = 3 * (firstRow + y) * image.width();
      for (int x = 0; x < size; x++) {
        across.apply(x, image.rgb(), from + 3 * across.first[x], 3, narrow, 3 * (y * size + x));
      }
    }
    byte[] out = new byte[3 * size * size];
    for (int y = 0; y < size; y++) {
      int from = 3 * (down.first[y] - firstRow) * size;
      for (int x = 0; x < size; x++) {
        down.apply(y, narrow, from + 3 * x, 3 * size, out, 3 * (y * size + x));
      }
    }
    return new RgbImage(size, size, out);
  }

  private static double kernel(double x) {
    double t = Math.abs(x);
    if (t < 1.0) {
      return (1.5 * t - 2.5) * t * t + 1;
    }
    return t < 2.0 ? (((t - 5) * t + 8) * t - 4) * -0.5 : 0.0;
  }

  /** For each wanted place: which input places weigh in, and how much. */
  private static final class Weights {
    private final int[] first;
    private final int[] count;
    private final int[][] fixed;

    private Weights(int wanted) {
      first = new int[wanted];
      count = new int[wanted];
      fixed = new int[wanted][];
    }

    static Weights of(int in, long out, long from, int wanted) {
      Weights weights = new Weights(wanted);
      double scale = (double) in / out;
      double widened = Math.max(scale, 1.0);
      double support = REACH * widened;
      for (int i = 0; i < wanted; i++) {
        double center = (from + i + 0.5) * scale;
        int low = Math.max(0, (int) (center - support + 0.5));
        int high = Math.min(in, (int) (center + support + 0.5));
        double[] exact = new double[high - low];
        double sum = 0;
        for (int x = 0; x < exact.length; x++) {
          exact[x] = kernel((x + low - center + 0.5) * (1.0 / widened));
          sum += exact[x];
        }
        weights.first[i] = low;
        weights.count[i] = exact.length;
        weights.fixed[i] = new int[exact.length];
        for (int x = 0; x < exact.length; x++) {
          double w = (sum != 0 ? exact[x] / sum : exact[x]) * (1 << PRECISION_BITS);
          weights.fixed[i][x] = (int) (w < 0 ? w - 0.5 : w + 0.5);
        }
      }
      return weights;
    }

    void apply(int place, byte[] in, int from, int step, byte[] out, int to) {
      int red = 1 << (PRECISION_BITS - 1);
      int green = red;
      int blue = red;
      int at = from;
      for (int w : fixed[place]) {
        red += (in[at] & 0xff) * w;
        green += (in[at + 1] & 0xff) * w;
        blue += (in[at + 2] & 0xff) * w;
        at += step;
      }
      out[to] = clip(red);
      out[to + 1] = clip(green);
      out[to + 2] = clip(blue);
    }

    private static byte clip(int sum) {
      return (byte) Math.max(0, Math.min(255, sum >> PRECISION_BITS));
    }
  }
}
