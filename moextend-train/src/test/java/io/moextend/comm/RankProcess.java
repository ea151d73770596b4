package io.moextend.comm;

import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;

/** One rank as a process of its own: folder, rank, world, "sum" or "forever". */
final class RankProcess {
  private static final int COUNT = 10_007;

  private RankProcess() {}

  public static void main(String[] args) {
    int rank = Integer.parseInt(args[1]);
    int world = Integer.parseInt(args[2]);
    boolean forever = args[3].equals("forever");
    var patience = new Patience(rank, Duration.ofSeconds(forever ? 5 : 30));
    try (var ranks = new SharedMemoryCollective(Path.of(args[0]), rank, world, patience);
        Buffer buffer = ranks.buffer("numbers", 4L * COUNT)) {
      for (int turn = 0; forever || turn < 200; turn++) {
        sum(ranks, buffer, turn);
        if (turn == 20) {
          System.out.println("turning");
        }
      }
      System.out.println("done");
    } catch (PeerLostException e) {
      System.out.println("lost " + e.rank() + ": " + e.getMessage());
      System.exit(5);
    }
  }

  private static void sum(Collective ranks, Buffer buffer, int turn) {
    for (int i = 0; i < COUNT; i++) {
      buffer.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, i + turn + ranks.rank());
    }
    ranks.allReduce("turn " + turn, buffer.slice(Payload.F32, 0, COUNT));
    int world = ranks.world();
    for (int i = 0; i < COUNT; i++) {
      float expected = world * (i + turn) + world * (world - 1) / 2;
      float actual = buffer.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      if (actual != expected) {
        throw new AssertionError(
            "turn %d, element %d: %s instead of %s".formatted(turn, i, actual, expected));
      }
    }
  }
}
