package io.moextend.comm;

/**
 * What watches a rank while it waits for others. A collective tells it what it enters and leaves,
 * and asks it in every idle turn whether waiting still makes sense.
 */
public interface Vigil {
  /**
   * @param sequence of the collective call, from 1, the same on all ranks
   * @param operation with what it is for, as "all-reduce (gradients of unit 3)"
   */
  void entered(long sequence, String operation);

  /**
   * Called in every idle turn; cheap.
   *
   * @param peer the rank that is waited for
   * @throws PeerLostException where the group was told to stop, or patience has run out
   */
  void waiting(int peer);

  void left(long sequence);
}
