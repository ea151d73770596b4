package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;

/**
 * Pointwise kernels; computed in the wide type, rounded once. Results have the type of the first
 * input unless said.
 */
public interface ElementKernels {
  /** a + b, of one shape and type. */
  Array add(Arena to, Array a, Array b);

  /** a + s·b; a sets the result's type, b may be of another floating type. */
  Array addScaled(Arena to, Array a, Array b, double s);

  /** a·b, of one shape; a sets the result's type, b may be of another floating type. */
  Array multiply(Arena to, Array a, Array b);

  /** s·a. */
  Array scale(Arena to, Array a, double s);

  /** Adds rows [P, H] to each group of P rows of x [N·P, H]. */
  Array addRepeated(Arena to, Array x, Array rows);

  /** The gradient of {@link #addRepeated}'s rows. dOut [N·P, H]; @return [P, H] wide */
  Array sumRepeated(Arena to, Array dOut, long period);

  /**
   * Each column times a number of its own: a layer's scale. x [R, N], scale [N] of x's type;
   *
   * @return [R, N]
   */
  Array scaleColumns(Arena to, Array x, Array scale);

  /** The gradient of {@link #scaleColumns}' scale: Σ over rows of dOut·x. @return [N] wide */
  Array scaleColumnsGradient(Arena to, Array dOut, Array x);

  /** Sum over rows. x [R, N]; @return [N] wide */
  Array sumRows(Arena to, Array x);

  Array activation(Arena to, Activation kind, Array x);

  /**
   * @return dOut · f'(x)
   */
  Array activationBackward(Arena to, Activation kind, Array dOut, Array x);

  /** f(left half) · right half. x [R, 2·I]; @return [R, I] */
  Array gated(Arena to, Activation kind, Array x);

  /**
   * @param dX [R, 2·I], written; may be {@code x} itself
   * @param dOut [R, I]
   */
  void gatedBackwardInto(Array dX, Activation kind, Array dOut, Array x);

  /**
   * As {@link #gatedBackwardInto}.
   *
   * @return [R, 2·I]
   */
  default Array gatedBackward(Arena to, Activation kind, Array dOut, Array x) {
    Array dX = to.allocate(x.dtype(), x.shape());
    gatedBackwardInto(dX, kind, dOut, x);
    return dX;
  }

  /** The same values in another floating type, to nearest even. */
  Array cast(Arena to, Array x, DType dtype);
}
