package io.moextend.backend.cpu;

/** Which places of an index name each row of a table, in the order of the index. */
final class RowOrder {
  private final int[] firsts;
  private final int[] places;

  /**
   * @param index row numbers, all below {@code tableRows}
   */
  RowOrder(CpuArray index, long tableRows) {
    int n = CpuDevice.count(index.size());
    firsts = new int[CpuDevice.count(tableRows) + 1];
    places = new int[n];
    for (int i = 0; i < n; i++) {
      firsts[index.intAt(i) + 1]++;
    }
    for (int t = 1; t < firsts.length; t++) {
      firsts[t] += firsts[t - 1];
    }
    int[] next = firsts.clone();
    for (int i = 0; i < n; i++) {
      places[next[index.intAt(i)]++] = i;
    }
  }

  /**
   * Adds columns of all rows that name a table's row, in their order, four at a time.
   *
   * @param sum F32
   */
  void add(Lane lane, Operand sum, CpuArray rows, int tableRow, int column, int n) {
    int i = firsts[tableRow];
    int end = firsts[tableRow + 1];
    for (; i <= end - 4; i += 4) {
      Operand a = row(lane, 1, rows, i, column, n);
      Operand b = row(lane, 2, rows, i + 1, column, n);
      Operand c = row(lane, 3, rows, i + 2, column, n);
      Operand d = row(lane, 4, rows, i + 3, column, n);
      SumLoops.addFour(
          sum.address(), a.address(), b.address(), c.address(), d.address(), a.width(), n);
    }
    for (; i < end; i++) {
      Operand a = row(lane, 1, rows, i, column, n);
      SumLoops.add(sum.address(), 1, a.address(), a.width(), n);
    }
  }

  private Operand row(Lane lane, int copy, CpuArray rows, int i, int column, int n) {
    return Operand.in(lane, copy, rows, places[i] * rows.dim(1) + column, n);
  }
}
