package io.moextend.comm.group;

import com.google.errorprone.annotations.MustBeClosed;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** Several ranks in this process, over real sockets, with rank 0 or a server to meet at. */
final class Gathered implements AutoCloseable {
  static final Token TOKEN = Token.of("the test", "the secret of this test run");
  static final GroupLimits LIMITS =
      new GroupLimits(Duration.ofSeconds(20), Duration.ofSeconds(20), Duration.ofSeconds(60));

  final Queue<String> log = new ConcurrentLinkedQueue<>();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final List<Future<Group>> joining = new ArrayList<>();
  private final List<Group> groups = new ArrayList<>();
  private final int port;

  Gathered() throws Exception {
    try (var probe = new ServerSocket(0)) {
      port = probe.getLocalPort();
    }
  }

  int port() {
    return port;
  }

  InetSocketAddress address() {
    return InetSocketAddress.createUnresolved("127.0.0.1", port);
  }

  RankEnvironment rank(int rank, int world, int generation, boolean ofLauncher, Token token) {
    return new RankEnvironment(
        rank,
        rank,
        world,
        world,
        0,
        address(),
        token,
        generation,
        "test",
        null,
        ofLauncher,
        "here");
  }

  @MustBeClosed
  RendezvousServer server(GroupLimits limits) {
    return RendezvousServer.open(address(), TOKEN, limits, log::add, NodeDesk.none());
  }

  /** Of the test's own thread. */
  Future<Group> join(RankEnvironment rank, GroupLimits limits) {
    Future<Group> future = threads.submit(() -> joined(rank, limits));
    joining.add(future);
    return future;
  }

  @SuppressWarnings("MustBeClosedChecker") // closed with this
  private Group joined(RankEnvironment rank, GroupLimits limits) throws InterruptedException {
    Group group = Membership.join(rank, new byte[] {(byte) rank.rank(), 42}, limits, log::add);
    synchronized (groups) {
      groups.add(group);
    }
    return group;
  }

  <T> Future<T> submit(Callable<T> work) {
    return threads.submit(work);
  }

  /** All of a world, rank 0 holding the rendezvous. */
  List<Group> all(int world, GroupLimits limits) throws Exception {
    var coming = new ArrayList<Future<Group>>();
    for (int rank = 0; rank < world; rank++) {
      coming.add(join(rank(rank, world, 0, false, TOKEN), limits));
    }
    var all = new ArrayList<Group>();
    for (Future<Group> one : coming) {
      all.add(got(one));
    }
    return all;
  }

  static <T> T got(Future<T> future) throws Exception {
    return future.get(30, TimeUnit.SECONDS);
  }

  static Throwable failure(Future<?> future) throws Exception {
    try {
      future.get(30, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      return e.getCause();
    }
    throw new AssertionError("nothing was thrown");
  }

  static void await(String what, BooleanSupplier claim) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!claim.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("after 30 s still not: " + what);
      }
      Thread.sleep(5);
    }
  }

  boolean logged(String part) {
    return log.stream().anyMatch(line -> line.contains(part));
  }

  @Override
  public void close() throws Exception {
    for (Future<Group> one : joining) {
      try {
        got(one);
      } catch (ExecutionException e) {
        continue; // refused, as the test has seen
      }
    }
    var ends = new ArrayList<Future<?>>();
    synchronized (groups) {
      for (Group group : groups) {
        group.finished();
        ends.add(threads.submit(group::close));
      }
    }
    for (Future<?> end : ends) {
      got(end);
    }
    threads.shutdownNow();
  }
}
