package io.moextend.backend.cpu;

import io.moextend.array.DType;

/**
 * dYᵀ X over some rows, by tiles of the result: a tile stays in the cache while blocks of rows are
 * added to it in order. Rows beyond a multiple of 16 are padded with zeros in scratch.
 */
final class WeightGradient {
  private static final int TILE_ROWS = 256;
  private static final int TILE_COLUMNS = 512;
  private static final int LARGEST = 1024;
  private static final int STEPS = 16;
  private static final int PADDED_LEFT = 1;
  private static final int PADDED_RIGHT = 2;

  private final CpuDevice cpu;
  private final CpuArray dY;
  private final long fromColumn;
  private final CpuArray x;
  private final int firstRow;
  private final int endRow;
  private final CpuArray out;
  private final int width;
  private final int in;

  /**
   * @param dY [R, width], of x's type
   * @param fromColumn of dY: the first row of the result
   * @param x [R, in]
   * @param out [columns, in] F32
   */
  WeightGradient(
      CpuDevice cpu,
      CpuArray dY,
      long fromColumn,
      CpuArray x,
      int firstRow,
      int endRow,
      CpuArray out) {
    this.cpu = cpu;
    this.dY = dY;
    this.fromColumn = fromColumn;
    this.x = x;
    this.firstRow = firstRow;
    this.endRow = endRow;
    this.out = out;
    this.width = CpuDevice.count(dY.dim(1));
    this.in = CpuDevice.count(x.dim(1));
  }

  void run() {
    int rows = CpuDevice.count(out.dim(0));
    if (firstRow == endRow) {
      cpu.forRows(rows, in, (lane, r) -> out.clear((long) r * in, in));
      return;
    }
    int down = (rows + TILE_ROWS - 1) / TILE_ROWS;
    int across = (in + TILE_COLUMNS - 1) / TILE_COLUMNS;
    cpu.workers()
        .run(
            down * across,
            (lane, i) -> {
              int row = i / across * TILE_ROWS;
              int column = i % across * TILE_COLUMNS;
              tile(
                  lane,
                  row,
                  Math.min(TILE_ROWS, rows - row),
                  column,
                  Math.min(TILE_COLUMNS, in - column));
            });
  }

  private void tile(Lane lane, int row, int rows, int column, int columns) {
    long result = out.address((long) row * in + column);
    for (int r = firstRow; r < endRow; ) {
      int left = endRow - r;
      long a = dY.address((long) r * width + fromColumn + row);
      long b = x.address((long) r * in + column);
      if (left >= RowBlocks.SMALLEST) {
        int inner = block(left);
        add(lane, inner, rows, columns, a, width, b, in, result, r > firstRow);
        r += inner;
      } else {
        int inner = RowBlocks.SMALLEST;
        long paddedA = padded(lane, PADDED_LEFT, a, left, width, rows);
        long paddedB = padded(lane, PADDED_RIGHT, b, left, in, columns);
        add(lane, inner, rows, columns, paddedA, rows, paddedB, columns, result, r > firstRow);
        r = endRow;
      }
    }
  }

  /**
   * As many rows as one product adds: nearly all, in few enough sizes that primitives are used
   * again whatever the router chose.
   */
  private static int block(int left) {
    int most = Math.min(LARGEST, left);
    int step = Math.max(RowBlocks.SMALLEST, Integer.highestOneBit(most) / STEPS);
    return most / step * step;
  }

  /** [rows, columns] out of rows of {@code stride} elements, and zeros down to 16 rows. */
  private long padded(Lane lane, int slot, long from, int rows, int stride, int columns) {
    int width = x.dtype().bytes();
    long line = (long) columns * width;
    long to = lane.scratch(slot, RowBlocks.SMALLEST * line);
    for (int r = 0; r < rows; r++) {
      Bytes.copy(from + (long) r * stride * width, to + r * line, line);
    }
    Bytes.clear(to + rows * line, (RowBlocks.SMALLEST - rows) * line);
    return to;
  }

  private void add(
      Lane lane,
      int inner,
      int rows,
      int columns,
      long a,
      int aStride,
      long b,
      int bStride,
      long result,
      boolean accumulate) {
    lane.gemm()
        .multiply(
            new Gemm.Shape(
                rows,
                inner,
                columns,
                x.dtype(),
                DType.F32,
                new Gemm.Layout(1, aStride),
                new Gemm.Layout(bStride, 1),
                in,
                false,
                accumulate),
            a,
            b,
            0,
            result);
  }
}
