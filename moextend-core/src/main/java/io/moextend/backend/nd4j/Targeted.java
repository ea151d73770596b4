package io.moextend.backend.nd4j;

import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** One column of each row of a block: the target's. Rows with a negative target show column 0. */
final class Targeted {
  private final INDArray at;
  private final INDArray counts;

  Targeted(Temporaries t, int[] targets, long from, long until, long width, DataType type) {
    int rows = Math.toIntExact(until - from);
    int[] flat = new int[rows];
    double[] valid = new double[rows];
    for (int i = 0; i < rows; i++) {
      int target = targets[Math.toIntExact(from + i)];
      flat[i] = Math.toIntExact(i * width + Math.max(0, target));
      valid[i] = target < 0 ? 0 : 1;
    }
    at = t.ints(flat);
    counts = t.numbers(valid, type);
  }

  /** 1 for each row with a target, 0 for the others; [R], a temporary that may be written. */
  INDArray counts() {
    return counts;
  }

  INDArray gather(Temporaries t, INDArray block) {
    INDArray values = t.uninitialized(block.dataType(), at.length());
    return RowMoves.gather(values, block.reshape(block.length()), at);
  }

  void put(INDArray block, INDArray values) {
    RowMoves.put(block.reshape(block.length()), at, values);
  }
}
