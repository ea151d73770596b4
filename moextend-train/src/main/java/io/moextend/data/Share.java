package io.moextend.data;

import io.moextend.data.SampleOrder.Position;

/**
 * One rank's part of the endless stream of samples, which is cut into micro-batches of {@code rows}
 * samples: of each {@code world} micro-batches rank r takes the r-th. So the micro-batches of a
 * step are the same whatever the number of ranks, as long as rows and ranks times accumulation are.
 *
 * @param rows samples of one rank's micro-batch
 */
public record Share(int rows, int rank, int world) {
  public Share {
    if (rows < 1 || rank < 0 || rank >= world) {
      throw new DataException(
          "rows=%d rank=%d world=%d: rows must be at least 1, the rank below world"
              .formatted(rows, rank, world));
    }
  }

  /** Every micro-batch. */
  public static Share alone(int rows) {
    return new Share(rows, 0, 1);
  }

  /** Samples that all ranks take together. */
  public int together() {
    return Math.multiplyExact(rows, world);
  }

  /** Micro-batches of all ranks in one pass over the data, one that is not full counted. */
  public long microBatchesPerEpoch(SampleOrder order) {
    return Math.ceilDiv((long) order.size(), rows);
  }

  /**
   * This rank's samples of the micro-batches that begin at a position.
   *
   * @param at the same on every rank
   */
  int[] indexes(SampleStream stream, Position at) {
    return stream.samples(at, (long) rank * rows, rows);
  }

  /** The position behind the micro-batches that all ranks take at a position. */
  Position after(Position at, SampleOrder order) {
    return order.after(at, together());
  }
}
