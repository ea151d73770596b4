package io.moextend.comm;

import java.time.Duration;

/** A vigil of one rank alone: it gives up when one call has waited too long. */
public final class Patience implements Vigil {
  private final int rank;
  private final Duration limit;
  private long sequence;
  private String operation = "nothing";
  private long since;

  /**
   * @param rank of the one who waits
   * @param limit of one call
   */
  public Patience(int rank, Duration limit) {
    this.rank = rank;
    this.limit = limit;
  }

  @Override
  public void entered(long sequence, String operation) {
    this.sequence = sequence;
    this.operation = operation;
    this.since = System.nanoTime();
  }

  @Override
  public void waiting(int peer) {
    long waited = System.nanoTime() - since;
    if (waited > limit.toNanos()) {
      throw new PeerLostException(
          peer,
          "rank %d has waited %.0f s in %s, call %d, for rank %d; is it stopped, or gone?"
              .formatted(rank, waited / 1e9, operation, sequence, peer));
    }
  }

  @Override
  public void left(long sequence) {
    this.operation = "nothing";
  }
}
