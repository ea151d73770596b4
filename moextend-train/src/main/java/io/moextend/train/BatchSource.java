package io.moextend.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * Endless micro-batches of one rank; the next epoch follows the last batch of one. The order
 * depends on the seed and the position alone.
 *
 * @param <B> a micro-batch
 */
public interface BatchSource<B> {
  B next();

  /**
   * Where all ranks' {@link #next} will go on, the same on each: what was made ahead and not handed
   * out does not count.
   */
  Position position();

  /** Makes {@link #next} go on from {@code position}. */
  void seek(Position position);

  /**
   * What is drawn from, by names and values: a position means the same only where they are as they
   * were. Empty where the configuration says it all.
   */
  default SequencedMap<String, String> content() {
    return new LinkedHashMap<>();
  }

  /** Names of a batch's samples, for messages. */
  List<String> samples(B batch);

  /**
   * @param epoch from 0
   * @param offset what of this epoch was handed out to all ranks, in samples or batches as the
   *     source counts
   */
  record Position(long epoch, long offset) {
    public Position {
      if (epoch < 0 || offset < 0) {
        throw new IllegalArgumentException("epoch=" + epoch + ", offset=" + offset);
      }
    }
  }
}
