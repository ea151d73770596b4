package io.moextend.comm;

import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * How a rank waits: it looks for a moment, then lets others have its core, which ranks often share,
 * then sleeps. One for each wait.
 */
final class IdleTurns {
  private static final int SPINS = 200;
  private static final int YIELDS = 2_000;
  private static final long LEAST_SLEEP_NANOS = 50_000;
  private static final long MOST_SLEEP_NANOS = 1_000_000;

  /** Sleeps last this part of the time already waited: little is lost, little is burnt. */
  private static final int SHARE = 16;

  private final IntConsumer waiting;
  private int turns;
  private long since;

  /**
   * @param waiting {@link Vigil#waiting}, or what leads to it
   */
  IdleTurns(IntConsumer waiting) {
    this.waiting = waiting;
  }

  /**
   * Lets some time pass.
   *
   * @param peer the rank that is waited for
   * @throws PeerLostException where the vigil gives up
   */
  void pass(int peer) {
    if (turns < SPINS) {
      turns++;
      Thread.onSpinWait();
      return;
    }
    waiting.accept(peer);
    if (turns < SPINS + YIELDS) {
      turns++;
      since = System.nanoTime();
      Thread.yield();
    } else {
      long waited = System.nanoTime() - since;
      LockSupport.parkNanos(this, Math.clamp(waited / SHARE, LEAST_SLEEP_NANOS, MOST_SLEEP_NANOS));
    }
  }

  /** Something came: the next wait is a new one. */
  void reset() {
    turns = 0;
  }
}
