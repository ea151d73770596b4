package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;

/**
 * A sum over rows in F32: of 128 rows at a time, side by side, and then of those sums in order, so
 * that long sums stay exact and any number of threads gives the same bits.
 */
final class RowSum {
  private static final int ROWS = 128;

  /** Rows read at once. */
  private static final int SIDE_BY_SIDE = 8;

  private final CpuDevice cpu;
  private final long rows;
  private final int width;
  private final int padded;

  /** Adds some rows, in order, to a whole number of vectors at {@code into}, F32. */
  @FunctionalInterface
  interface Rows {
    void add(Lane lane, long first, int rows, long into);
  }

  RowSum(CpuDevice cpu, long rows, int width) {
    this.cpu = cpu;
    this.rows = rows;
    this.width = width;
    this.padded = Floats.padded(width);
  }

  /**
   * @return [width] F32
   */
  CpuArray run(Arena to, Rows task) {
    CpuArray out = CpuDevice.allocate(to, DType.F32, width);
    int blocks = CpuDevice.count((rows + ROWS - 1) / ROWS);
    CpuArray parts = CpuDevice.allocate(to, DType.F32, blocks, padded);
    cpu.forRows(
        blocks,
        (long) ROWS * width,
        (lane, block) -> {
          long into = parts.address((long) block * padded);
          Bytes.clear(into, 4L * padded);
          long end = Math.min(rows, (block + 1L) * ROWS);
          for (long row = (long) block * ROWS; row < end; row += SIDE_BY_SIDE) {
            task.add(lane, row, (int) Math.min(SIDE_BY_SIDE, end - row), into);
          }
        });
    cpu.forChunks(width, (lane, first, n) -> total(lane, parts, blocks, out, first, n));
    to.free(parts);
    return out;
  }

  /**
   * As {@link #run}, of rows that are added in the order in which those of {@code like} are read.
   *
   * @param like rows of the same width
   */
  CpuArray runLike(Arena to, CpuArray like, Rows task) {
    CpuArray out = run(to, task);
    if (Operand.width(like, width) == Vectors.BF16) {
      PairLoops.join(out.address(), out.address(), width);
    }
    return out;
  }

  private void total(Lane lane, CpuArray parts, int blocks, CpuArray out, long first, int n) {
    Operand sum = Operand.out(lane, 0, out, first, n);
    Bytes.clear(sum.address(), 4L * Floats.padded(n));
    for (long block = 0; block < blocks; block++) {
      SumLoops.add(sum.address(), 1, parts.address(block * padded + first), Vectors.F32, n);
    }
    sum.finish(lane, out, first, n);
  }
}
