package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;

/** Sums of a matrix's squares by rows and by columns. */
final class FactoredSums {
  /** Rows whose squares are added up in F32 before they go into a column's sum. */
  private static final int ROWS = 64;

  private FactoredSums() {}

  /** Work on {@code n} numbers of a row, from {@code first} on. */
  @FunctionalInterface
  interface StretchTask {
    void run(Lane lane, int row, int first, int n);
  }

  /** A row's stretches follow each other on one thread. */
  static void eachStretch(CpuDevice cpu, int rows, int width, StretchTask task) {
    cpu.forRows(rows, width, (lane, row) -> stretches(lane, row, width, task));
  }

  private static void stretches(Lane lane, int row, int width, StretchTask task) {
    int n;
    for (int first = 0; first < width; first += n) {
      n = Operand.span(width - first);
      task.run(lane, row, first, n);
    }
  }

  /**
   * @param g [R, C]
   * @param columns [C], where their sums go
   * @return [R]
   */
  static double[] squares(CpuDevice cpu, Arena to, CpuArray g, double scale, double[] columns) {
    int rows = CpuDevice.count(g.dim(0));
    int width = columns.length;
    int stride = Floats.padded(width);
    int blocks = Math.ceilDiv(rows, ROWS);
    double[] sums = new double[rows];
    float s = (float) scale;
    CpuArray parts = CpuDevice.allocate(to, DType.F32, blocks, stride);
    cpu.forRows(
        blocks,
        (long) ROWS * width,
        (lane, block) -> {
          long part = (long) block * stride;
          parts.clear(part, stride);
          int end = Math.min(rows, (block + 1) * ROWS);
          for (int row = block * ROWS; row < end; row++) {
            stretches(
                lane,
                row,
                width,
                (own, at, first, n) -> {
                  Operand x = Operand.in(own, 0, g, (long) at * width + first, n);
                  sums[at] +=
                      AdafactorLoops.addSquares(parts.address(part + first), x.address(), s, n);
                });
          }
        });
    for (int block = 0; block < blocks; block++) {
      for (int i = 0; i < width; i++) {
        columns[i] += parts.floatAt((long) block * stride + i);
      }
    }
    to.free(parts);
    return sums;
  }
}
