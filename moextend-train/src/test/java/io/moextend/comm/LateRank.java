package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/** Makes the last rank come to each call only when the first has waited in it for a while. */
final class LateRank {
  private static final Duration A_WHILE = Duration.ofMillis(20);

  private final Collective collective;
  private final AtomicLong entered;
  private long calls;
  private long before;

  /**
   * @param entered the first rank's latest call, from its {@link #vigil}
   */
  LateRank(Collective collective, AtomicLong entered) {
    this.collective = collective;
    this.entered = entered;
  }

  static Vigil vigil(int rank, AtomicLong entered) {
    var patience = new Patience(rank, Duration.ofSeconds(30));
    return new Vigil() {
      @Override
      public void entered(long sequence, String operation) {
        patience.entered(sequence, operation);
        if (rank == 0) {
          entered.set(sequence);
        }
      }

      @Override
      public void waiting(int peer) {
        patience.waiting(peer);
      }

      @Override
      public void left(long sequence) {
        patience.left(sequence);
      }
    };
  }

  /** Before each call. */
  void comes() throws InterruptedException {
    calls++;
    before = collective.lateNanos();
    if (collective.rank() == collective.world() - 1) {
      while (entered.get() < calls) {
        Thread.sleep(1);
      }
      Thread.sleep(A_WHILE);
    }
  }

  /** After each call. */
  void assertCounted(String call) {
    if (collective.rank() == 0) {
      assertThat(Duration.ofNanos(collective.lateNanos() - before))
          .as(call)
          .isGreaterThan(A_WHILE.dividedBy(2));
    }
  }
}
