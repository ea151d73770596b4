package io.moextend.train;

import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.comm.DirectCollective;
import io.moextend.comm.InProcessTransport;
import io.moextend.comm.Patience;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.HostWire;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
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
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
        var collective = new DirectCollective(wire, vigil);
        var conversation = new Conversation(new HostWire(backend, collective))) {
      try {
        return work.run(new ConversationPeers(conversation));
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
}
