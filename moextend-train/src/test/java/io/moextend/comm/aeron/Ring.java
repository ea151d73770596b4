package io.moextend.comm.aeron;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.comm.Transport;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Every rank sends to the next while it hears the one before; what comes is compared. */
final class Ring {
  private Ring() {}

  /**
   * @param sizes of the messages, in bytes
   */
  static void check(Transport wire, long seed, int... sizes) {
    try (Arena arena = Arena.ofConfined()) {
      int next = (wire.rank() + 1) % wire.world();
      int before = (wire.rank() + wire.world() - 1) % wire.world();
      for (int round = 0; round < sizes.length; round++) {
        MemorySegment in = arena.allocate(Math.max(1, sizes[round])).asSlice(0, sizes[round]);
        byte[] out = bytes(seed, wire.rank(), round, sizes[round]);
        MemorySegment sent = arena.allocate(Math.max(1, sizes[round])).asSlice(0, sizes[round]);
        sent.copyFrom(MemorySegment.ofArray(out));
        wire.exchange(next, sent, before, in);
        assertThat(in.mismatch(MemorySegment.ofArray(bytes(seed, before, round, sizes[round]))))
            .as("first wrong byte of message %d from rank %d, seed %d", round, before, seed)
            .isEqualTo(-1);
      }
    }
  }

  private static byte[] bytes(long seed, int rank, int round, int size) {
    var bytes = new byte[size];
    new Random(seed + 1000L * round + rank).nextBytes(bytes);
    return bytes;
  }

  /** Runs one task a rank at the same time; throws what the first failing one threw. */
  @SafeVarargs
  static void together(Callable<Void>... tasks) throws Exception {
    try (var threads = Executors.newCachedThreadPool()) {
      List<Future<Void>> futures = new ArrayList<>();
      for (Callable<Void> task : tasks) {
        futures.add(threads.submit(task));
      }
      for (Future<Void> future : futures) {
        try {
          future.get();
        } catch (ExecutionException e) {
          throw new AssertionError(e.getCause().getMessage(), e.getCause());
        }
      }
    }
  }

  /** As processes do: each waits for the others' end. */
  static void closeTogether(Transport one, Transport other) throws Exception {
    together(
        () -> {
          one.close();
          return null;
        },
        () -> {
          other.close();
          return null;
        });
  }
}
