package io.moextend.backend;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Products with weights. All accumulate in the wide type. */
public interface MatrixKernels {
  /**
   * Prepares a matrix for products.
   *
   * @param parts [out_i, in] each, stacked by rows in this order; all of one type
   * @param frozen true where no part will ever change
   */
  @MustBeClosed
  Matrix matrix(List<Array> parts, boolean frozen);

  /**
   * x Wᵀ (+ bias).
   *
   * @param x [R, in], of the matrix' type
   * @param bias [out], of the matrix' type, or null
   * @param result the result's type: the matrix' own, or its wide type
   * @return [R, out]
   */
  Array product(Arena to, Array x, Matrix w, @Nullable Array bias, DType result);

  /**
   * dY W.
   *
   * @param dY [R, out]; where it is wide and the matrix is not, it is rounded first
   * @return [R, in], of the matrix' type
   */
  Array productTransposed(Arena to, Array dY, Matrix w);

  /**
   * dY W, to be added to others.
   *
   * @param dY [R, out]
   */
  record Share(Array dY, Matrix w) {}

  /**
   * h B, to be added to columns of a product.
   *
   * @param from the first of the columns
   * @param h [R, rank], of the matrix' type
   * @param b rank rows, as wide as the columns are many
   */
  record Addend(long from, Array h, Matrix b) {}

  /**
   * dYᵀ X over some columns of dY.
   *
   * @param dY [R, out]
   * @param from first column (the first row of the part this gradient is for)
   * @param until one past the last column
   * @param x [R, in]
   * @return [until - from, in], wide
   */
  Array weightGradient(Arena to, Array dY, long from, long until, Array x);

  /**
   * Each expert's rows through that expert's matrix, in one call.
   *
   * @param x [rows, in], sorted by expert as {@code dispatch} says
   * @param experts one matrix an expert, all of one shape
   * @return [rows, out]
   */
  Array groupedProduct(Arena to, Array x, Dispatch dispatch, List<Matrix> experts);

  /**
   * @param dY [rows, out]; @return [rows, in], each row times its own expert's matrix
   */
  Array groupedProductTransposed(Arena to, Array dY, Dispatch dispatch, List<Matrix> experts);

  /**
   * The weight gradient of one expert, from that expert's rows alone; zero where it has none.
   *
   * @return [until - from, in], wide
   */
  Array groupedWeightGradient(
      Arena to, Array dY, long from, long until, Array x, Dispatch dispatch, int expert);
}
