package io.moextend.backend.nd4j;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The three products of a linear layer. ND4J is up to three times faster when it writes a result in
 * column order, so each is asked for transposed: the transpose of a row-major result is the same
 * memory in column order.
 */
final class Products {
  private Products() {}

  /** out [R, O] = scale · x [R, I] · w [O, I]ᵀ. */
  static void timesTransposed(INDArray out, INDArray x, INDArray w, double scale) {
    Nd4j.gemm(w, x, out.transpose(), false, true, scale, 0);
  }

  /** out [R, I] = scale · d [R, O] · w [O, I]. */
  static void times(INDArray out, INDArray d, INDArray w, double scale) {
    Nd4j.gemm(w, d, out.transpose(), true, true, scale, 0);
  }

  /** out [O, I] = scale · d [R, O]ᵀ · x [R, I]. */
  static void transposedTimes(INDArray out, INDArray d, INDArray x, double scale) {
    Nd4j.gemm(x, d, out.transpose(), true, false, scale, 0);
  }
}
