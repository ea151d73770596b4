package io.moextend.model;

import io.moextend.autograd.GradientSink;

/**
 * Sees to it that a decoder's layers have their weights while they run, where weights are shared
 * among ranks. Every rank tells it the same, in the same order, whatever its batch: a pass is
 * {@link #enter} for every layer in order, then {@link #finish}; before a pass that is played
 * backwards comes {@link #training}.
 */
public interface LayerResidency {
  /**
   * A forward pass begins that a backward pass will follow.
   *
   * @return what the tape is to deliver to: passes everything on to {@code gradients}
   */
  GradientSink training(GradientSink gradients);

  /** The layer is about to run forward, and those before it have. */
  void enter(int layer);

  /**
   * The pass is over. What a backward pass would have told and did not, because no gradient flowed
   * on this rank, is made up for.
   */
  void finish();

  /** Every rank has all weights all the time. */
  LayerResidency EVERYWHERE =
      new LayerResidency() {
        @Override
        public GradientSink training(GradientSink gradients) {
          return gradients;
        }

        @Override
        public void enter(int layer) {}

        @Override
        public void finish() {}
      };
}
