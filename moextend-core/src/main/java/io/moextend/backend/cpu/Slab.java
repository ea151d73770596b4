package io.moextend.backend.cpu;

import java.util.BitSet;
import java.util.Map;
import java.util.TreeMap;

/**
 * A stretch of address space handed out in pieces. A request takes the first hole that is large
 * enough; holes that touch become one. Pages that were never handed out cost no memory. Not
 * thread-safe.
 */
final class Slab {
  /** What memory is counted in, advised and dropped by: a huge page. */
  static final long PAGE = 2L << 20;

  private final long address;
  private final long bytes;
  private final TreeMap<Long, Long> holes = new TreeMap<>();
  private final BitSet touched = new BitSet();

  /**
   * @param address a multiple of {@link #PAGE}
   * @param bytes a multiple of {@link #PAGE}
   */
  Slab(long address, long bytes) {
    this.address = address;
    this.bytes = bytes;
    holes.put(0L, bytes);
  }

  long address() {
    return address;
  }

  long bytes() {
    return bytes;
  }

  /**
   * @return the address of {@code wanted} bytes, or 0 where no hole is large enough
   */
  long take(long wanted) {
    for (Map.Entry<Long, Long> hole : holes.entrySet()) {
      long at = hole.getKey();
      long left = hole.getValue() - wanted;
      if (left >= 0) {
        holes.remove(at);
        if (left > 0) {
          holes.put(at + wanted, left);
        }
        touched.set(page(at), page(at + wanted - 1) + 1);
        return address + at;
      }
    }
    return 0;
  }

  /** Takes back what {@link #take} gave. */
  void give(long from, long length) {
    long at = from - address;
    long end = at + length;
    Long after = holes.remove(end);
    if (after != null) {
      end += after;
    }
    Map.Entry<Long, Long> before = holes.lowerEntry(at);
    if (before != null && before.getKey() + before.getValue() == at) {
      at = before.getKey();
    }
    holes.put(at, end - at);
  }

  boolean isEmpty() {
    return holes.getOrDefault(0L, 0L) == bytes;
  }

  /** Bytes of the pages that were handed out since they were last dropped. */
  long touchedBytes() {
    return touched.cardinality() * PAGE;
  }

  /** Told which pages to give back to the operating system. */
  @FunctionalInterface
  interface Drop {
    void pages(long address, long bytes);
  }

  /** Drops the touched pages that lie in holes. */
  void drop(Drop drop) {
    holes.forEach(
        (at, length) -> {
          int end = page(at + length);
          int from = touched.nextSetBit(page(at + PAGE - 1));
          while (from >= 0 && from < end) {
            int until = Math.min(end, touched.nextClearBit(from));
            drop.pages(address + from * PAGE, (until - from) * PAGE);
            touched.clear(from, until);
            from = touched.nextSetBit(until);
          }
        });
  }

  private static int page(long at) {
    return Math.toIntExact(at / PAGE);
  }
}
