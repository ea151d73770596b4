package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;

/** What adapters do beside products. R rows, H heads of K numbers each, E experts of rank r. */
public interface AdapterKernels {
  /**
   * Each head times a mixture of vectors: x ⊙ Σ_e p_e·scaling_e.
   *
   * @param x [R, H·K]
   * @param p [R·H, E] wide, of row 0 the first head, the second and so on
   * @param scaling [H, E, K], of x's type
   * @return as x
   */
  Array rescale(Arena to, Array x, Array p, Array scaling);

  /**
   * @param dX [R, H·K]
   * @param dP [R·H, E] wide
   * @param dScaling [H, E, K] wide
   */
  record RescaleGradients(Array dX, Array dP, Array dScaling) {}

  RescaleGradients rescaleBackward(Arena to, Array dOut, Array x, Array p, Array scaling);

  /**
   * Columns in E blocks of equal width, each block times a number of its row's own.
   *
   * @param h [R, E·r]
   * @param p [R, E] wide
   * @return as h
   */
  Array scaleBlocks(Arena to, Array h, Array p);

  /**
   * @param dH [R, E·r]
   * @param dP [R, E] wide
   */
  record BlockGradients(Array dH, Array dP) {}

  BlockGradients scaleBlocksBackward(Arena to, Array dOut, Array h, Array p);

  /**
   * Adds to some columns where they are.
   *
   * @param y [R, N], written
   * @param from the first of the columns
   * @param delta [R, W], of y's type
   */
  void addColumnsInto(Array y, long from, Array delta);
}
