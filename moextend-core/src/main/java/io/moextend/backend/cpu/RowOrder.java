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

  /** Where the places of a table's row begin; those of the row after it follow. */
  int first(int tableRow) {
    return firsts[tableRow];
  }

  /** A place of the index. */
  int row(int i) {
    return places[i];
  }
}
