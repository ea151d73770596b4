package io.moextend.data;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.data.SampleOrder.Position;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * Makes batches ahead of the step that needs them, in order, without end: epoch follows epoch. One
 * thread takes; workers make at most {@code ahead} batches more than were taken.
 */
public final class BatchLoader implements AutoCloseable {
  /** Makes one batch; called by several threads at once. */
  public interface Source {
    /**
     * @param indexes of the batch's samples
     */
    Batch batch(int[] indexes);
  }

  private static final long CLOSING_SECONDS = 60;

  private final Source source;
  private final SampleOrder order;
  private final Share share;
  private final int ahead;
  private final ExecutorService workers;
  private final Deque<ComingBatch> coming = new ArrayDeque<>();
  private final SampleStream stream;
  private Position taken;
  private Position asked;

  /**
   * @param from where a run starts or goes on; {@link #position} of the run before
   * @param threads that make batches
   * @param ahead batches made or in the making beyond those taken, at least 1
   */
  @MustBeClosed
  public BatchLoader(
      Source source, SampleOrder order, Share share, Position from, int threads, int ahead) {
    if (threads < 1 || ahead < 1) {
      throw new DataException(
          "loader threads=%d, ahead=%d: both must be at least 1".formatted(threads, ahead));
    }
    if (from.offset() >= order.size()) {
      throw new DataException(
          "the run stands at sample %d of an epoch of %d; has the dataset changed?"
              .formatted(from.offset(), order.size()));
    }
    this.source = source;
    this.order = order;
    this.share = share;
    this.ahead = ahead;
    this.taken = from;
    this.asked = from;
    this.stream = new SampleStream(order);
    this.workers =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("data-", 0).factory());
  }

  /**
   * Waits for the next batch.
   *
   * @throws DataException that a worker met; taking again meets it again
   */
  public Batch next() {
    while (coming.size() < ahead) {
      int[] indexes = share.indexes(stream, asked);
      coming.add(ComingBatch.of(() -> source.batch(indexes), workers));
      asked = share.after(asked, order);
    }
    Batch batch = coming.element().await();
    coming.remove();
    taken = share.after(taken, order);
    return batch;
  }

  /**
   * Where the batches begin that all ranks take next; the same on every rank that took as many. To
   * be saved with a checkpoint.
   */
  public Position position() {
    return taken;
  }

  /** Stops the workers and waits for them. */
  @Override
  public void close() {
    workers.shutdownNow();
    try {
      if (!workers.awaitTermination(CLOSING_SECONDS, TimeUnit.SECONDS)) {
        throw new IllegalStateException(
            "data workers are still busy after " + CLOSING_SECONDS + " s");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
