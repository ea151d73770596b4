package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;

/**
 * Adafactor without momentum. The step of a parameter depends on sums over all of it, so there are
 * two kernels to a step: the first takes in the gradient and gives the sum, the second changes the
 * weights. All but the sums are wide. With g the gradient times its scale:
 *
 * <pre>
 *   v   = decay·v + mixing·(g² + eps)
 *   u   = g / √v
 *   w  -= lr · max(RMS(w), least) / max(1, RMS(u) / clip) · u
 * </pre>
 *
 * <p>Where v is factored, its rows and columns are the means of g² + eps over a row and a column,
 * mixed like v, and v[i, j] = rows[i]·columns[j] / mean(rows).
 *
 * @see <a href="https://arxiv.org/abs/1804.04235">Adafactor</a>, algorithms 4 and 5
 */
public interface AdafactorKernels {
  /**
   * How squares are remembered.
   *
   * @param decay what is kept of the old
   * @param mixing what is added of the new; not 1 - decay, of which float32 would leave little
   * @param eps above 0, added to each square
   * @param gradientScale what the gradient is multiplied by first (clipping, averaging)
   */
  record Squares(double decay, double mixing, double eps, double gradientScale) {}

  /**
   * How far weights move.
   *
   * @param elements of the whole parameter
   * @param clip largest root mean square of an update before it is scaled
   * @param byParameter whether the rate is multiplied by the weights' root mean square
   * @param least what stands for that root where it is less
   * @param gradientScale as in {@link Squares}
   */
  record Move(
      double learningRate,
      long elements,
      double clip,
      boolean byParameter,
      double least,
      double gradientScale) {
    /**
     * What u is multiplied by and then taken from the weights.
     *
     * @param updates Σ u² over the whole parameter
     * @param weights Σ w² over the whole parameter, before the step
     */
    public double rate(double updates, double weights) {
      double scale = byParameter ? Math.max(Math.sqrt(weights / elements), least) : 1;
      return learningRate * scale / Math.max(1, Math.sqrt(updates / elements) / clip);
    }
  }

  /**
   * Changes {@code v}, or a part of it.
   *
   * @param gradient of v's size
   * @return [1] F64: Σ u²
   */
  Array squaresInto(Arena to, Array v, Array gradient, Squares how);

  /**
   * Changes {@code rows} and {@code columns}.
   *
   * @param rows [R]
   * @param columns [C]
   * @param gradient [R, C]
   * @return [1] F64: Σ u²
   */
  Array factoredSquaresInto(Arena to, Array rows, Array columns, Array gradient, Squares how);

  /**
   * Changes {@code master}, or a part of it.
   *
   * @param v as {@link #squaresInto} left it
   * @param sums [2] F64: Σ u² and Σ w², of the whole parameter
   */
  void moveInto(Array master, Array v, Array gradient, Array sums, Move how);

  /**
   * @param master [R, C], changed
   * @param rows [R], as {@link #factoredSquaresInto} left it
   * @param columns [C], likewise
   * @param sums [2] F64: Σ u² and Σ w²
   */
  void factoredMoveInto(
      Array master, Array rows, Array columns, Array gradient, Array sums, Move how);
}
