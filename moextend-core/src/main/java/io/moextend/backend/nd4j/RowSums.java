package io.moextend.backend.nd4j;

import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * Sums of the rows that go to the same place, in their order. ND4J's scatter_add sums in any order,
 * and its unsorted_segment_sum loses memory of the size of the rows in each call.
 */
final class RowSums {
  private RowSums() {}

  /** table[s] = sum of values[i] over rows[i] = s; other rows of the table stay. */
  static void into(Temporaries t, INDArray table, INDArray values, int[] rows) {
    long[] byRow = new long[rows.length];
    Arrays.setAll(byRow, i -> ((long) rows[i] << 32) | i);
    Arrays.sort(byRow);
    int[] once = new int[rows.length];
    int[] onceAt = new int[rows.length];
    int singles = 0;
    int begin = 0;
    for (int i = 1; i <= byRow.length; i++) {
      if (i < byRow.length && byRow[i] >> 32 == byRow[begin] >> 32) {
        continue;
      }
      if (i == begin + 1) {
        once[singles] = (int) byRow[begin];
        onceAt[singles++] = (int) (byRow[begin] >> 32);
      } else {
        repeated(table, values, Arrays.copyOfRange(byRow, begin, i));
      }
      begin = i;
    }
    if (singles > 0) {
      INDArray from = t.ints(Arrays.copyOf(once, singles));
      INDArray rowsOnce = t.uninitialized(values.dataType(), singles, values.size(1));
      INDArray at = t.ints(Arrays.copyOf(onceAt, singles));
      RowMoves.put(table, at, RowMoves.gather(rowsOnce, values, from));
    }
  }

  /** One run: a table row in the upper halves, the rows that go there in the lower. */
  private static void repeated(INDArray table, INDArray values, long[] run) {
    try (var t = new Temporaries()) {
      INDArray from = t.ints(Arrays.stream(run).mapToInt(key -> (int) key).toArray());
      INDArray addends = t.uninitialized(values.dataType(), run.length, values.size(1));
      long at = run[0] >> 32;
      table
          .get(NDArrayIndex.interval(at, at + 1), NDArrayIndex.all())
          .assign(t.keep(RowMoves.gather(addends, values, from).sum(true, 0)));
    }
  }
}
