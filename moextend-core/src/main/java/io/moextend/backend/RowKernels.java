package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import java.util.List;

/** Moving rows and columns. Row numbers are I32 arrays on the device. */
public interface RowKernels {
  /**
   * @param table [V, H]; @param rows [R]; @return [R, H], row r is table[rows[r]]
   */
  Array gatherRows(Arena to, Array table, Array rows);

  /**
   * The gradient of {@link #gatherRows}' table: repeated rows add up, in order. @return [tableRows,
   * H] wide
   */
  Array scatterRows(Arena to, Array dOut, Array rows, long tableRows);

  /**
   * Sums of rows with weights: pooling, resizing and the neighbours of a convolution. Its gradient
   * is the same kernel, with the places turned round.
   *
   * @param table [V, H]
   * @param rows [R, k] I32
   * @param weights [R, k] wide
   * @return [R, H], row r is Σ over j of weights[r, j] · table[rows[r, j]], summed wide
   */
  Array mixRows(Arena to, Array table, Array rows, Array weights);

  /**
   * A copy of x [T, H] whose rows {@code rows} [R] are those of values [R, H]. No row is named
   * twice.
   */
  Array replaceRows(Arena to, Array x, Array rows, Array values);

  /** A copy of x [T, H] whose rows {@code rows} are zero. */
  Array clearRows(Arena to, Array x, Array rows);

  /** Columns from (inclusive) to until (exclusive). x [R, N]; @return [R, until - from] */
  Array columns(Arena to, Array x, long from, long until);

  /** Side by side: [R, N_i] each to [R, sum of N_i]. */
  Array joinColumns(Arena to, List<Array> parts);

  /** One below the other: [R_i, N] each to [sum of R_i, N]. */
  Array joinRows(Arena to, List<Array> parts);

  /**
   * Non-overlapping patches as rows, channel first within a row as a convolution's weight has them.
   *
   * @param pixels [N, C, height, width]
   * @return [N·(height/size)·(width/size), C·size·size]
   */
  Array patches(Arena to, Array pixels, int size);

  /**
   * Rotary embedding of the heads found in some columns, each head's halves rotated (x1 cos - x2
   * sin, x2 cos + x1 sin).
   *
   * @param x [R, N]
   * @param from first column of the first head
   * @param heads number of heads
   * @param positions [R] I32, rows of the tables
   * @param cos [P, headSize/2] wide
   * @param sin [P, headSize/2] wide
   * @param inverse rotates back: the backward
   * @return [R, heads·headSize], of x's type
   */
  Array rotate(
      Arena to,
      Array x,
      long from,
      int heads,
      Array positions,
      Array cos,
      Array sin,
      boolean inverse);
}
