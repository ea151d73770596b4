package io.moextend.data;

import io.moextend.data.SampleOrder.Position;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Epoch after epoch as one endless line of samples, so that a sample depends on its place in the
 * line alone. Not thread-safe.
 */
final class SampleStream {
  private static final int KEPT = 2; // an epoch's end and the next one's beginning

  private final SampleOrder order;
  private final Map<Long, int[]> epochs = new LinkedHashMap<>();

  SampleStream(SampleOrder order) {
    this.order = order;
  }

  /**
   * @return {@code count} samples, the first of them {@code ahead} places behind {@code from}
   */
  int[] samples(Position from, long ahead, int count) {
    int[] out = new int[count];
    Position at = order.after(from, ahead);
    for (int i = 0; i < count; i++) {
      out[i] = epoch(at.epoch())[at.offset()];
      at = order.after(at, 1);
    }
    return out;
  }

  private int[] epoch(long epoch) {
    int[] known = epochs.get(epoch);
    if (known == null) {
      known = order.epoch(epoch);
      epochs.put(epoch, known);
      if (epochs.size() > KEPT) {
        epochs.remove(epochs.keySet().iterator().next());
      }
    }
    return known;
  }
}
