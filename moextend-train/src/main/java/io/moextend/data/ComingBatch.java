package io.moextend.data;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/** A batch that another thread makes. */
public record ComingBatch(Future<Batch> future) {
  public static ComingBatch of(Callable<Batch> making, ExecutorService workers) {
    return new ComingBatch(workers.submit(making));
  }

  /**
   * Waits for it.
   *
   * @throws DataException that its maker met, each time it is asked for
   */
  public Batch await() {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new DataException("stopped while waiting for data", e);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case DataException wrong -> throw new DataException(String.valueOf(wrong.getMessage()), e);
        case Error error -> throw error;
        case null, default ->
            throw new IllegalStateException("making a batch failed: " + e.getCause(), e);
      }
    }
  }
}
