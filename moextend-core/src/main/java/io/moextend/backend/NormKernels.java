package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;

/** Normalisations over the last axis; sums, means and the result before rounding are wide. */
public interface NormKernels {
  /**
   * @param out [R, H], of the input's type
   * @param inverse [R] wide, 1 / root of the mean square (RMS) or of the variance (layer norm), eps
   *     included
   * @param mean [R] wide; for RMS norm the same array as {@code inverse}, not to be read
   */
  record Normed(Array out, Array inverse, Array mean) {}

  /** x / sqrt(mean(x²) + eps) · weight. x [R, H], weight [H]. */
  Normed rmsNorm(Arena to, Array x, Array weight, double eps);

  /**
   * @return dX [R, H]
   */
  Array rmsNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward);

  /**
   * @return dWeight [H] wide
   */
  Array rmsNormWeightGradient(Arena to, Array dOut, Array x, Normed forward);

  /** (x - mean) / sqrt(var + eps) · weight + bias. x [R, H], weight and bias [H]. */
  Normed layerNorm(Arena to, Array x, Array weight, Array bias, double eps);

  /**
   * @return dX [R, H]
   */
  Array layerNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward);

  /**
   * @return dWeight [H] wide; the bias' gradient is {@link ElementKernels#sumRows}
   */
  Array layerNormWeightGradient(Arena to, Array dOut, Array x, Normed forward);
}
