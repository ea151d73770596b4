package io.moextend.comm;

import com.google.errorprone.annotations.MustBeClosed;

/**
 * What ranks do together. Every rank calls the same methods with the same arguments in the same
 * order, from one thread at a time; a call returns when this rank's part of the result is there and
 * its own memory may be written again. The same inputs give the same bits in every run: sums are
 * taken in the order of ranks (first within a host, then over hosts).
 *
 * <p>{@code what} says in messages what the call is for. Every call may throw {@link
 * PeerLostException} where another rank does not come, is gone, or the group was told to stop.
 */
public interface Collective extends AutoCloseable {
  int rank();

  int world();

  /**
   * Memory for the other calls; a collective call itself.
   *
   * @param name unique among the open buffers: letters, digits, '-' and '.'
   */
  @MustBeClosed
  Buffer buffer(String name, long bytes);

  /** Every rank's slice becomes the sum over all ranks. */
  void allReduce(String what, Buffer.Slice slice);

  /** The r-th of world equal parts of rank r's slice becomes the sum; the rest is undefined. */
  void reduceScatter(String what, Buffer.Slice slice);

  /** Rank r's r-th of world equal parts goes to all others. */
  void allGather(String what, Buffer.Slice slice);

  /**
   * Part r of {@code from} goes to rank r, which finds it in {@code into} as the part with the
   * sender's number. The two do not overlap and are of one size.
   */
  void allToAll(String what, Buffer.Slice from, Buffer.Slice into);

  /** Rank {@code root}'s slice goes to all. */
  void broadcast(String what, Buffer.Slice slice, int root);

  /** Returns when every rank has called it. */
  void barrier(String what);

  /**
   * How long this rank has waited so far, in all calls, for ranks that had not come to the call
   * yet: not communication, but work that is not evenly shared.
   */
  long lateNanos();

  /** Frees what is left of this rank's buffers. */
  @Override
  void close();
}
