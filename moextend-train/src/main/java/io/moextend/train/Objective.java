package io.moextend.train;

import io.moextend.autograd.GradientSink;

/**
 * The model and its loss, as the loop sees them.
 *
 * @param <B> a micro-batch
 */
public interface Objective<B> {
  /**
   * Forward and backward over one micro-batch.
   *
   * @param gradients gets the gradient of {@code scale · loss} for every parameter that trains
   * @param scale 1 / micro-batches of a step, those of all ranks counted
   * @return losses not multiplied by {@code scale}; where nothing that trains took part, marked so,
   *     and no gradient was delivered
   */
  Losses backpropagate(GradientSink gradients, B batch, double scale);

  /** Forward alone. */
  Losses evaluate(B batch);
}
