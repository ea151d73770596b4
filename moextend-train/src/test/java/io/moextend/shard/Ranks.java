package io.moextend.shard;

import io.moextend.comm.Collective;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Runs every rank of a world on a thread of its own. */
final class Ranks {
  private Ranks() {}

  /** What a rank does. */
  @FunctionalInterface
  interface Body<C extends Collective, T> {
    T run(C collective) throws Exception;
  }

  /** What each rank returned; throws what the first failed one threw. */
  static <C extends Collective, T> List<T> run(List<C> group, Body<C, T> body) {
    ExecutorService threads = Executors.newFixedThreadPool(group.size());
    try {
      var futures = new ArrayList<Future<T>>();
      for (C collective : group) {
        futures.add(threads.submit(() -> body.run(collective)));
      }
      var results = new ArrayList<T>();
      for (Future<T> future : futures) {
        results.add(future.get(60, TimeUnit.SECONDS));
      }
      return results;
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException thrown) {
        throw thrown;
      }
      throw new AssertionError(e.getCause());
    } catch (InterruptedException | TimeoutException e) {
      throw new AssertionError("the ranks do not end", e);
    } finally {
      threads.shutdownNow();
    }
  }
}
