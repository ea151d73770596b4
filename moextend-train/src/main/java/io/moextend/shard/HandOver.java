package io.moextend.shard;

import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.List;
import java.util.function.Consumer;

/**
 * In which order a backward pass's buckets go to the other ranks: from the last to the first, all
 * of them, whoever got a gradient; each as soon as its units are done, what is left at the end.
 */
final class HandOver {
  private final ParameterLayout layout;
  private final Consumer<Bucket> hand;
  private int next = -1;

  /**
   * @param hand gets each bucket once between two calls of {@link #begin}
   */
  HandOver(ParameterLayout layout, Consumer<Bucket> hand) {
    this.layout = layout;
    this.hand = hand;
  }

  /** A backward pass begins. */
  void begin() {
    rest();
    next = layout.buckets().size() - 1;
  }

  /** All that comes from now on belongs to units before this one. */
  void reached(int unit) {
    List<Bucket> buckets = layout.buckets();
    while (next >= 0 && buckets.get(next).firstUnit() >= unit) {
      hand.accept(buckets.get(next--));
    }
  }

  /** Hands over what is left; nothing where nothing is. */
  void rest() {
    reached(0);
  }

  /** True where it is the turn of the slice's bucket, false where others come before it. */
  boolean isTurnOf(Slice slice) {
    requireOpen(slice);
    return layout.bucket(slice).index() == next;
  }

  /** Throws where the slice's bucket is on its way already. */
  void requireOpen(Slice slice) {
    if (layout.bucket(slice).index() > next) {
      throw new IllegalStateException(
          "a gradient of %s came after its unit was done; do the model's milestones agree with its units?"
              .formatted(slice.parameter().name()));
    }
  }
}
