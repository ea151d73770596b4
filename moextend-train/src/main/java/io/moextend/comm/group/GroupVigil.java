package io.moextend.comm.group;

import io.moextend.comm.PeerLostException;
import io.moextend.comm.Vigil;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Tells the rendezvous, with each heartbeat, what this rank waits for, and ends the waiting when
 * the group is broken. The calls cost a volatile read or two.
 */
final class GroupVigil implements Vigil {
  private record Call(long sequence, String operation, boolean in, long at) {}

  /** What the group was told. */
  private record Lost(int rank, String why) {}

  private volatile Call call = new Call(0, "", false, System.nanoTime());
  private volatile int peer = -1;
  private volatile @Nullable Lost lost;

  @Override
  public void entered(long sequence, String operation) {
    requireWhole();
    peer = -1;
    call = new Call(sequence, operation, true, System.nanoTime());
  }

  @Override
  public void waiting(int peer) {
    if (this.peer != peer) {
      this.peer = peer;
    }
    requireWhole();
  }

  @Override
  public void left(long sequence) {
    Call last = call;
    peer = -1;
    call = new Call(last.sequence, last.operation, false, System.nanoTime());
  }

  /**
   * @throws PeerLostException where the group is broken
   */
  void requireWhole() {
    Lost why = lost;
    if (why != null) {
      throw new PeerLostException(why.rank, why.why);
    }
  }

  /** The first reason stays. */
  synchronized boolean lose(int rank, String why) {
    if (lost != null) {
      return false;
    }
    lost = new Lost(rank, why);
    return true;
  }

  Doing doing() {
    Call now = call;
    return new Doing(
        now.sequence,
        now.operation.length() > 500 ? now.operation.substring(0, 500) : now.operation,
        now.in,
        Duration.ofNanos(System.nanoTime() - now.at),
        peer);
  }
}
