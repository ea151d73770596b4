package io.moextend.data;

import io.moextend.data.SampleOrder.Position;

/**
 * One rank's part of every batch: rank r takes the r-th block of {@code rows} samples out of each
 * {@code rows * world}. Where an epoch's end leaves a batch unfilled, samples of its beginning fill
 * it, so every sample is seen and all ranks take as many steps.
 *
 * @param rows samples of one rank's batch
 */
public record Share(int rows, int rank, int world) {
  public Share {
    if (rows < 1 || rank < 0 || rank >= world) {
      throw new DataException(
          "rows=%d rank=%d world=%d: rows must be at least 1, the rank below world"
              .formatted(rows, rank, world));
    }
  }

  /** All of every batch. */
  public static Share alone(int rows) {
    return new Share(rows, 0, 1);
  }

  /** Samples that all ranks take together. */
  public int together() {
    return Math.multiplyExact(rows, world);
  }

  public long batchesPerEpoch(SampleOrder order) {
    return (order.size() + (long) together() - 1) / together();
  }

  /**
   * This rank's samples of the batch at a position.
   *
   * @param epoch {@link SampleOrder#epoch} of the position's epoch
   */
  int[] indexes(int[] epoch, Position at) {
    int[] out = new int[rows];
    for (int i = 0; i < rows; i++) {
      out[i] = epoch[(int) ((at.offset() + (long) rank * rows + i) % epoch.length)];
    }
    return out;
  }

  /** The position behind the batch at a position. */
  Position after(Position at, SampleOrder order) {
    long next = (long) at.offset() + together();
    return next < order.size()
        ? new Position(at.epoch(), (int) next)
        : new Position(at.epoch() + 1, 0);
  }
}
