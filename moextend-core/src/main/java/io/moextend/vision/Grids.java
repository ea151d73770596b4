package io.moextend.vision;

import io.moextend.op.Mixture;
import java.util.Arrays;

/** Sums over a square of rows that lie line by line: means, resizing, neighbours. */
final class Grids {
  private Grids() {}

  /** The mean of each two by two rows; an odd last line or column falls away. */
  static Mixture halved(int side) {
    int out = side / 2;
    int[] rows = new int[4 * out * out];
    double[] weights = new double[rows.length];
    for (int y = 0, at = 0; y < out; y++) {
      for (int x = 0; x < out; x++) {
        for (int i = 0; i < 4; i++, at++) {
          rows[at] = (2 * y + i / 2) * side + 2 * x + i % 2;
          weights[at] = 0.25;
        }
      }
    }
    return new Mixture(side * side, 4, rows, weights);
  }

  /** Resizing with straight lines between centres, corners not aligned, nothing smoothed. */
  static Mixture bilinear(int side, int out) {
    int[] rows = new int[4 * out * out];
    double[] weights = new double[rows.length];
    for (int y = 0, at = 0; y < out; y++) {
      double down = place(y, side, out);
      for (int x = 0; x < out; x++) {
        double across = place(x, side, out);
        for (int i = 0; i < 4; i++, at++) {
          int row = Math.min((int) down + i / 2, side - 1);
          int column = Math.min((int) across + i % 2, side - 1);
          rows[at] = row * side + column;
          weights[at] = share(down, i / 2) * share(across, i % 2);
        }
      }
    }
    return new Mixture(side * side, 4, rows, weights);
  }

  private static double place(int at, int side, int out) {
    return Math.max(0, (at + 0.5) * side / out - 0.5);
  }

  private static double share(double place, int step) {
    double part = place - (int) place;
    return step == 0 ? 1 - part : part;
  }

  /**
   * One neighbour of each row in steps of {@code stride}, zero beyond the edge.
   *
   * @param down lines from the row to its neighbour
   * @param across columns to it
   */
  static Mixture neighbour(int side, int stride, int down, int across) {
    int out = (side + stride - 1) / stride;
    int[] rows = new int[out * out];
    double[] weights = new double[rows.length];
    for (int at = 0; at < rows.length; at++) {
      int y = at / out * stride + down;
      int x = at % out * stride + across;
      if (y >= 0 && y < side && x >= 0 && x < side) {
        rows[at] = y * side + x;
        weights[at] = 1;
      }
    }
    return new Mixture(side * side, 1, rows, weights);
  }

  /** The mean of all. */
  static Mixture mean(int rows) {
    int[] all = new int[rows];
    double[] weights = new double[rows];
    for (int i = 0; i < rows; i++) {
      all[i] = i;
      weights[i] = 1.0 / rows;
    }
    return new Mixture(rows, rows, all, weights);
  }

  /** One row, {@code times} times. */
  static Mixture spread(int times) {
    double[] weights = new double[times];
    Arrays.fill(weights, 1);
    return new Mixture(1, 1, new int[times], weights);
  }

  /**
   * Tiles of a square put together again, and made as small as one of them by means.
   *
   * @param side rows a side of one tile; the tiles lie one below the other, line by line
   * @param tiles of one side
   */
  static Mixture joinedMeans(int side, int tiles) {
    int each = tiles * tiles;
    int[] rows = new int[each * side * side];
    double[] weights = new double[rows.length];
    for (int y = 0, at = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        for (int i = 0; i < each; i++, at++) {
          int line = y * tiles + i / tiles;
          int column = x * tiles + i % tiles;
          int tile = line / side * tiles + column / side;
          rows[at] = (tile * side + line % side) * side + column % side;
          weights[at] = 1.0 / each;
        }
      }
    }
    return new Mixture(each * side * side, each, rows, weights);
  }
}
