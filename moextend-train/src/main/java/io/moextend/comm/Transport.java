package io.moextend.comm;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A wire between every pair of ranks: bytes come whole, once, in order, or the call throws. One
 * thread at a time.
 */
public interface Transport extends AutoCloseable {
  int rank();

  int world();

  /**
   * Sends to one rank while receiving from another, in one loop, so that a ring of ranks that all
   * call it does not block. Returns when {@code out} may be written again and {@code in} is full; a
   * message of up to 256 bytes does not wait for its receiver to call.
   *
   * @param out null = nothing to send
   * @param in null = nothing to receive; its size is what {@code from} sends
   * @throws PeerLostException where the other side does not answer
   */
  void exchange(int to, @Nullable MemorySegment out, int from, @Nullable MemorySegment in);

  @Override
  void close();
}
