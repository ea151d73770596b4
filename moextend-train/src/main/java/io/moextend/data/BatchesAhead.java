package io.moextend.data;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Batches, each made by a thread of its own while the one before it is in use. Asking for one
 * throws what its maker met.
 */
public final class BatchesAhead implements Iterable<Batch>, AutoCloseable {
  private final List<int[]> batches;
  private final Function<int[], Batch> making;
  private final ExecutorService maker;

  /**
   * @param batches the samples of each
   * @param making a batch of some samples
   */
  public BatchesAhead(List<int[]> batches, Function<int[], Batch> making) {
    this.batches = List.copyOf(batches);
    this.making = making;
    this.maker =
        Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("data").factory());
  }

  @Override
  public Iterator<Batch> iterator() {
    return new Iterator<>() {
      private int next;
      private @Nullable ComingBatch coming = coming(0);

      @Override
      public boolean hasNext() {
        return coming != null;
      }

      @Override
      public Batch next() {
        ComingBatch asked = coming;
        if (asked == null) {
          throw new NoSuchElementException("all %d batches were read".formatted(batches.size()));
        }
        Batch batch = asked.await();
        next++;
        coming = coming(next);
        return batch;
      }
    };
  }

  private @Nullable ComingBatch coming(int index) {
    return index < batches.size()
        ? ComingBatch.of(() -> making.apply(batches.get(index)), maker)
        : null;
  }

  @Override
  public void close() {
    maker.close();
  }
}
