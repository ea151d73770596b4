package io.moextend.data;

import java.util.stream.IntStream;

/**
 * The order in which a run sees its samples: each epoch all of them, arranged by seed and epoch
 * alone, so that a run continues anywhere as if it had never stopped.
 *
 * @param size number of samples
 */
public record SampleOrder(int size, long seed, Arrangement arrangement) {
  /** What an epoch does with the file's order. */
  public sealed interface Arrangement {
    /** It is kept. */
    record AsWritten() implements Arrangement {}

    /** Every order is as likely. */
    record Shuffled() implements Arrangement {}

    /** Samples that are alike share a step. */
    record Grouped(LengthGroups groups) implements Arrangement {}
  }

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
    if (arrangement instanceof Arrangement.Grouped(LengthGroups groups)
        && groups.lengths().length != size) {
      throw new IllegalArgumentException(
          "%d samples and the lengths of %d".formatted(size, groups.lengths().length));
    }
  }

  /**
   * @param shuffled false to keep the file's order
   */
  public SampleOrder(int size, long seed, boolean shuffled) {
    this(size, seed, shuffled ? new Arrangement.Shuffled() : new Arrangement.AsWritten());
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
    return switch (arrangement) {
      case Arrangement.AsWritten() -> IntStream.range(0, size).toArray();
      case Arrangement.Shuffled() -> {
        int[] order = IntStream.range(0, size).toArray();
        Shuffle.of(seed, epoch).apply(order);
        yield order;
      }
      case Arrangement.Grouped(LengthGroups groups) -> groups.order(Shuffle.of(seed, epoch), epoch);
    };
  }
}
