package io.moextend.comm;

import java.lang.foreign.MemorySegment;

/** How a slice is shared out among ranks. */
final class Parts {
  private Parts() {}

  /** The memory of a slice in some rank's {@code buffer}. */
  static MemorySegment memory(MemorySegment buffer, Buffer.Slice slice) {
    int each = slice.payload().bytes();
    return buffer.asSlice(slice.from() * each, slice.count() * each);
  }

  /**
   * Equal parts, by rank.
   *
   * @throws IllegalArgumentException where the elements do not divide
   */
  static MemorySegment[] equal(MemorySegment buffer, Buffer.Slice slice, int world) {
    var parts = new MemorySegment[world];
    for (int r = 0; r < world; r++) {
      parts[r] = memory(buffer, slice.part(r, world));
    }
    return parts;
  }

  /**
   * Parts that differ by at most one element, by rank.
   *
   * @param each bytes of an element
   */
  static MemorySegment[] uneven(MemorySegment memory, int each, int world) {
    long count = memory.byteSize() / each;
    var parts = new MemorySegment[world];
    for (int r = 0; r < world; r++) {
      long from = start(count, r, world);
      parts[r] = memory.asSlice(from * each, (start(count, r + 1, world) - from) * each);
    }
    return parts;
  }

  /** First of the {@code part}-th of {@code parts} shares of {@code count} things. */
  static long start(long count, int part, int parts) {
    return count / parts * part + Math.min(part, count % parts);
  }

  static void checkRoot(int root, int world) {
    if (root < 0 || root >= world) {
      throw new IllegalArgumentException(
          "root %d is no rank of a world of %d".formatted(root, world));
    }
  }

  /** Of an all-to-all. */
  static void checkPair(Buffer.Slice from, Buffer.Slice into) {
    if (from.count() != into.count() || from.payload() != into.payload()) {
      throw new IllegalArgumentException(
          "%d elements of %s go into %d of %s; the two must be equal"
              .formatted(from.count(), from.payload(), into.count(), into.payload()));
    }
    if (from.buffer() == into.buffer() && from.from() < into.to() && into.from() < from.to()) {
      throw new IllegalArgumentException(
          "elements [%d, %d) and [%d, %d) of buffer %s overlap; an all-to-all needs two places"
              .formatted(from.from(), from.to(), into.from(), into.to(), from.buffer().name()));
    }
  }
}
