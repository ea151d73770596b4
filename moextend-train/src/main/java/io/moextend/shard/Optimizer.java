package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;

/**
 * Owns gradients, master weights and the update rule's state; turns a step's gradients into new
 * weights. Not thread-safe. With several ranks every rank calls the same methods in the same order.
 */
public interface Optimizer extends AutoCloseable {
  /**
   * Where one micro-batch's tape delivers; adds up until {@link #step} or {@link #discard}.
   *
   * @param last true for the last micro-batch of a step: with several ranks, what the backward pass
   *     has finished is exchanged while it goes on
   */
  GradientSink gradients(boolean last);

  /**
   * Clips by the global norm, updates the weights and forgets the gradients. Where the norm is not
   * finite nothing is updated.
   *
   * @param learningRate of roles that {@link RoleRates} does not name
   * @param maxNorm largest global L2 norm of the gradients; 0 = no clipping
   */
  Update step(double learningRate, double maxNorm);

  /** Forgets the gradients without an update. */
  void discard();

  void save(StateWriter to);

  /** Takes back what {@link #save} wrote and writes the masters into the model's weights. */
  void load(StateReader from);

  @Override
  void close();

  /** Takes down names and arrays; arrays stay as they are until the checkpoint is written. */
  interface StateWriter {
    /**
     * A part of a named array of one dimension: all of it, or what this rank owns.
     *
     * @param total elements of the whole
     * @param from where {@code values} begins in it
     */
    void piece(String name, long total, long from, Array values);

    void numbers(String name, long[] values);
  }

  /** Gives back what a {@link StateWriter} took; throws where a name, type or size does not fit. */
  interface StateReader {
    /** Fills {@code into} with elements of the whole, whoever wrote them. */
    void piece(String name, long total, long from, Array into);

    long[] numbers(String name, int count);
  }

  /**
   * @param gradientNorm global L2 norm before clipping
   * @param scale what the gradients were multiplied by; 1 where they were short enough
   * @param updated parameters that were updated; fewer than all where untouched ones are skipped
   */
  record Update(double gradientNorm, double scale, int updated) {
    /** False where a gradient was NaN or infinite, so that no weight was changed. */
    public boolean applied() {
      return Double.isFinite(gradientNorm);
    }
  }

  /** torch's clip_grad_norm_: {@code maxNorm / (norm + 1e-6)} where that is less than 1. */
  static double clipScale(double norm, double maxNorm) {
    return maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
  }
}
