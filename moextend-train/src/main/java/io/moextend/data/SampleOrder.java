package io.moextend.data;

/**
 * The order in which a run sees its samples: each epoch all of them, shuffled by seed and epoch
 * alone, so that a run continues anywhere as if it had never stopped.
 *
 * @param size number of samples
 * @param shuffled false to keep the file's order
 */
public record SampleOrder(int size, long seed, boolean shuffled) {
  /**
   * Where a run stands in the samples of all ranks.
   *
   * @param offset samples of this epoch that were handed out
   */
  public record Position(long epoch, int offset) {
    public static final Position START = new Position(0, 0);

    public Position {
      if (epoch < 0 || offset < 0) {
        throw new DataException(
            "a position needs epoch=%d, offset=%d from 0".formatted(epoch, offset));
      }
    }
  }

  public SampleOrder {
    if (size < 1) {
      throw new DataException("there are no samples to order; is the dataset empty?");
    }
  }

  /**
   * The position {@code samples} further on; behind an epoch's last sample comes the next epoch.
   */
  public Position after(Position at, long samples) {
    long offset = Math.addExact(at.offset(), samples);
    return new Position(at.epoch() + offset / size, (int) (offset % size));
  }

  /** All indexes of one epoch. */
  public int[] epoch(long epoch) {
    int[] order = new int[size];
    for (int i = 0; i < size; i++) {
      order[i] = i;
    }
    if (shuffled) {
      // SplitMix64 written out: the order must not change with the Java version
      long state = mix(seed) ^ mix(~epoch);
      for (int i = size - 1; i > 0; i--) {
        state += 0x9e3779b97f4a7c15L;
        int j = (int) Math.unsignedMultiplyHigh(mix(state), i + 1L);
        int swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
      }
    }
    return order;
  }

  private static long mix(long z) {
    long a = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    long b = (a ^ (a >>> 27)) * 0x94d049bb133111ebL;
    return b ^ (b >>> 31);
  }
}
