package io.moextend.comm.device;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Array;
import io.moextend.array.DType;

/**
 * What ranks do together with a device's arrays: {@link io.moextend.comm.Collective} one floor up,
 * so that a card's own collectives can take its place. The same rules: every rank the same calls in
 * the same order, from one thread at a time, the same inputs the same bits.
 *
 * <p>A call on a range works in place on elements [from, to) of a {@link Flat}. Calls may throw
 * {@link io.moextend.comm.PeerLostException}.
 */
public interface DeviceWire extends AutoCloseable {
  int rank();

  int world();

  /** A flat array that the other calls work on. */
  interface Flat extends AutoCloseable {
    /** [length]; 0 at first. Valid until {@link #close}. */
    Array array();

    /** Frees this rank's; no call may be under way on it. */
    @Override
    void close();
  }

  /**
   * A collective call itself.
   *
   * @param name unique among the open ones: letters, digits, '-' and '.'
   * @param dtype F32, BF16 or F64
   */
  @MustBeClosed
  Flat flat(String name, DType dtype, long length);

  /** Every rank's range becomes the sum over all ranks; BF16 is summed in F32. */
  void allReduce(String what, Flat flat, long from, long to);

  /** The r-th of world equal parts of rank r's range becomes the sum; the rest is undefined. */
  void reduceScatter(String what, Flat flat, long from, long to);

  /** Rank r's r-th of world equal parts of the range goes to all others. */
  void allGather(String what, Flat flat, long from, long to);

  /**
   * A few numbers of the host's, each rank as many.
   *
   * @return [world][values]
   */
  double[][] gather(String what, double... values);

  /** Most bytes that open flats took so far outside of the backend's own memory. */
  long peakBytes();

  /** How long this rank has waited so far for ranks that had not come to a call yet. */
  long lateNanos();

  /** Returns when every rank has called it. */
  void barrier(String what);

  @Override
  void close();
}
