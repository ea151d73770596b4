package io.moextend.train;

import io.moextend.comm.DirectCollective;
import io.moextend.comm.InProcessTransport;
import io.moextend.comm.Patience;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** Ranks that are threads of one process, over the real collectives. */
final class Ranks {
  /** What one rank does. */
  interface Work<T> {
    T run(Peers peers) throws Exception;
  }

  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private Ranks() {}

  /** What each rank's work gave; throws what the first failing one threw. */
  static <T> List<T> all(int world, Work<T> work) throws Exception {
    var results = new ArrayList<T>();
    for (Future<T> future : ended(world, work)) {
      try {
        results.add(future.get());
      } catch (ExecutionException e) {
        throw e.getCause() instanceof Exception cause ? cause : e;
      }
    }
    return results;
  }

  /** What each rank's work threw; fails where one threw nothing. */
  static List<Throwable> failures(int world, Work<?> work) throws InterruptedException {
    var thrown = new ArrayList<Throwable>();
    for (Future<?> future : ended(world, work)) {
      try {
        throw new AssertionError("rank %d gave %s".formatted(thrown.size(), future.get()));
      } catch (ExecutionException e) {
        thrown.add(e.getCause());
      }
    }
    return thrown;
  }

  private static <T> List<Future<T>> ended(int world, Work<T> work) {
    List<Patience> vigils =
        IntStream.range(0, world).mapToObj(rank -> new Patience(rank, PATIENCE)).toList();
    List<InProcessTransport> wires = InProcessTransport.group(world, vigils::get);
    var done = new CountDownLatch(world);
    var futures = new ArrayList<Future<T>>();
    try (ExecutorService threads = Executors.newFixedThreadPool(world)) {
      for (int rank = 0; rank < world; rank++) {
        InProcessTransport wire = wires.get(rank);
        Patience vigil = vigils.get(rank);
        futures.add(threads.submit(() -> live(wire, vigil, work, done)));
      }
    }
    return futures;
  }

  /** No rank takes its wire away before all are done. */
  private static <T> T live(
      InProcessTransport wire, Patience vigil, Work<T> work, CountDownLatch done) throws Exception {
    boolean counted = false;
    try (ExecutorService wireThread = Executors.newSingleThreadExecutor();
        var collective = new DirectCollective(wire, vigil);
        var peers = new CollectivePeers(collective, on(wireThread))) {
      try {
        return work.run(peers);
      } finally {
        counted = true;
        done.countDown();
        done.await();
      }
    } finally {
      if (!counted) {
        done.countDown();
      }
    }
  }

  private static Consumer<Runnable> on(ExecutorService thread) {
    return task -> {
      try {
        thread.submit((Callable<Void>) () -> ran(task)).get();
      } catch (ExecutionException e) {
        throw e.getCause() instanceof RuntimeException fault ? fault : new IllegalStateException(e);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    };
  }

  @SuppressWarnings("NullAway") // a Callable of nothing
  private static Void ran(Runnable task) {
    task.run();
    return null;
  }
}
