package io.moextend.backend.nd4j;

import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.BooleanIndexing;
import org.nd4j.linalg.indexing.conditions.Conditions;

/** Assignment between floating types, to nearest even. */
final class Rounded {
  private Rounded() {}

  /** to = from. */
  static void assign(INDArray to, INDArray from) {
    if (to.dataType() != DataType.BFLOAT16 || from.dataType() == DataType.BFLOAT16) {
      to.assign(from);
      return;
    }
    // ND4J rounds to BFLOAT16 by adding to the bits, which makes a number of some NaNs; the NaN it
    // is given here is one that survives
    try (var t = new Temporaries()) {
      INDArray floats = t.copy(t.cast(from, DataType.FLOAT));
      BooleanIndexing.replaceWhere(floats, Float.NaN, Conditions.isNan());
      to.assign(floats);
    }
  }
}
