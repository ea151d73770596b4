package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;

/** ND4J converts silently where types differ; a kernel's inputs are checked first. */
final class SameType {
  private SameType() {}

  static void require(String name, Array array, DType wanted) {
    if (array.dtype() != wanted) {
      throw new ShapeException("%s is %s, wanted type %s".formatted(name, array, wanted));
    }
  }
}
