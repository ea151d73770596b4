package io.moextend.backend.nd4j;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/**
 * ND4J's gather and scatter along the first axis. They do not check row numbers: the caller has.
 */
final class RowMoves {
  private RowMoves() {}

  /** out[i] = table[rows[i]]. */
  static INDArray gather(INDArray out, INDArray table, INDArray rows) {
    Nd4j.exec(
        DynamicCustomOp.builder("gather")
            .addInputs(table, rows)
            .addOutputs(out)
            .addIntegerArguments(0)
            .build());
    return out;
  }

  /** table[rows[i]] = values[i]; no row may be named twice. */
  static void put(INDArray table, INDArray rows, INDArray values) {
    Nd4j.exec(
        DynamicCustomOp.builder("scatter_upd")
            .addInputs(table, rows, values)
            .addOutputs(table)
            .build());
  }
}
