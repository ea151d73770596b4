package io.moextend.backend.cpu;

import io.moextend.array.Arena;

/**
 * Sums of a table's rows with weights.
 *
 * @param rows [R, k] I32, all of them rows of the table
 * @param weights [R, k] F32
 */
record RowMixture(CpuArray rows, CpuArray weights) {
  /**
   * @return [R, H], of the table's type, summed in F32 in the order of k
   */
  CpuArray of(CpuDevice cpu, Arena to, CpuArray table) {
    int width = CpuDevice.count(table.dim(1));
    CpuArray out = CpuDevice.allocate(to, table.dtype(), rows.dim(0), width);
    cpu.forRows(
        rows.dim(0),
        rows.dim(1) * width,
        (lane, r) -> {
          int n;
          for (int column = 0; column < width; column += n) {
            n = Operand.span(width - column);
            mix(lane, table, out, r, column, n);
          }
        });
    return out;
  }

  private void mix(Lane lane, CpuArray table, CpuArray out, long row, int column, int n) {
    long width = table.dim(1);
    Operand result = Operand.out(lane, 0, out, row * width + column, n);
    Operand sum = result.wideOut(lane, 1, n);
    Bytes.clear(sum.address(), 4L * n);
    long last = (row + 1) * rows.dim(1);
    for (long j = row * rows.dim(1); j < last; j++) {
      Operand part = Operand.in(lane, 2, table, rows.intAt(j) * width + column, n);
      SumLoops.add(sum.address(), weights.floatAt(j), part.address(), part.width(), n);
    }
    result.take(sum, n);
    result.finish(lane, out, row * width + column, n);
  }
}
