package io.moextend.comm;

import java.lang.foreign.MemorySegment;

/**
 * Memory that collectives work on in place. Every rank has one of the same name and size; on one
 * host all ranks may see each other's, so between {@link Collective} calls a rank writes into its
 * own alone. 64-byte aligned, zero at first.
 */
public interface Buffer extends AutoCloseable {
  String name();

  /** This rank's own. Valid until {@link #close}. */
  MemorySegment segment();

  default long bytes() {
    return segment().byteSize();
  }

  /**
   * @param from first element
   * @param to one past the last
   */
  default Slice slice(Payload payload, long from, long to) {
    return new Slice(this, payload, from, to);
  }

  /** Frees this rank's; not a collective call, but no collective may be under way on it. */
  @Override
  void close();

  /** Elements of a buffer that one collective call is about. */
  record Slice(Buffer buffer, Payload payload, long from, long to) {
    public Slice {
      if (from < 0 || to < from || Math.multiplyExact(to, payload.bytes()) > buffer.bytes()) {
        throw new IllegalArgumentException(
            "elements [%d, %d) of %s are not within buffer %s of %d bytes"
                .formatted(from, to, payload, buffer.name(), buffer.bytes()));
      }
    }

    public long count() {
      return to - from;
    }

    /** This rank's memory of it. */
    public MemorySegment segment() {
      return buffer.segment().asSlice(from * payload.bytes(), count() * payload.bytes());
    }

    /** The {@code rank}-th of {@code world} equal parts. */
    public Slice part(int rank, int world) {
      if (count() % world != 0) {
        throw new IllegalArgumentException(
            "%d elements of buffer %s do not divide among %d ranks; pad them"
                .formatted(count(), buffer.name(), world));
      }
      long each = count() / world;
      return new Slice(buffer, payload, from + rank * each, from + (rank + 1) * each);
    }
  }
}
