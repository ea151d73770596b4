package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.Matrix;
import io.moextend.op.MixRows;
import io.moextend.op.Mixture;
import java.util.List;

/**
 * Resizing as torch does it: the bicubic kernel with a = -0.75, corners not aligned, the edge
 * repeated, nothing smoothed when the picture shrinks. (Pictures from files are resized with
 * another kernel, a = -0.5 and smoothed.) In the wide type; no gradient.
 *
 * @see <a href="https://ieeexplore.ieee.org/document/1163711">Keys, Cubic convolution interpolation
 *     for digital image processing</a>
 */
final class Bicubic {
  private static final double A = -0.75;
  private static final int TAPS = 4;

  private Bicubic() {}

  /**
   * @param pixels [N, C, S, S]; @return [N, C, size, size], of the same type; itself where it has
   *     that size
   */
  static Array resize(Tape tape, Array pixels, int size) {
    pixels.require("pixels", -1, -1, pixels.dim(3), -1);
    int from = Math.toIntExact(pixels.dim(3));
    if (from == size) {
      return pixels;
    }
    Backend backend = tape.backend();
    DType wide = pixels.dtype().wide();
    int planes = Math.toIntExact(pixels.dim(0) * pixels.dim(1));
    Mixture taps = taps(from, size);
    Array lines = pixels.reshape((long) planes * from, from);
    Array low = MixRows.mixed(tape, backend.cast(tape.arena(), lines, wide), taps.repeated(planes));
    // across, the same sums are a product with a matrix of mostly zeros
    Array weights = backend.doubles(tape.arena(), wide, dense(taps), (long) size, (long) from);
    try (Matrix across = backend.matrix(List.of(weights), true)) {
      Array out = backend.product(tape.arena(), low, across, null, wide);
      return backend
          .cast(tape.arena(), out, pixels.dtype())
          .reshape(pixels.dim(0), pixels.dim(1), size, size);
    }
  }

  /** The places along one side that weigh in on each new place. */
  static Mixture taps(int from, int size) {
    int[] rows = new int[TAPS * size];
    double[] weights = new double[rows.length];
    for (int i = 0; i < size; i++) {
      double place = (i + 0.5) * from / size - 0.5;
      double base = Math.floor(place);
      for (int tap = 0; tap < TAPS; tap++) {
        rows[TAPS * i + tap] = Math.clamp((long) base - 1 + tap, 0, from - 1);
        weights[TAPS * i + tap] = kernel(place - base + 1 - tap);
      }
    }
    return new Mixture(from, TAPS, rows, weights);
  }

  private static double kernel(double distance) {
    double t = Math.abs(distance);
    return t <= 1 ? ((A + 2) * t - (A + 3)) * t * t + 1 : ((t - 5) * t + 8) * t * A - 4 * A;
  }

  private static double[] dense(Mixture taps) {
    double[] matrix = new double[Math.multiplyExact(taps.results(), taps.tableRows())];
    for (int i = 0; i < taps.rows().length; i++) {
      matrix[i / TAPS * taps.tableRows() + taps.rows()[i]] += taps.weights()[i];
    }
    return matrix;
  }
}
