package io.moextend.backend.cuda;

import java.util.Comparator;
import java.util.HashSet;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Cuts pieces out of segments that the driver gave and joins idle neighbours again. A piece given
 * back may be taken at once: the one stream that uses it does things in order. Small pieces have
 * segments of their own, so that they do not split those of large ones. Not thread-safe.
 */
final class DeviceBlocks implements AutoCloseable {
  private static final long GRAIN = 512;
  private static final long SMALL = 1L << 20;
  private static final long SMALL_SEGMENT = 4L << 20;
  private static final long PAGE = 2L << 20;
  private static final long SEGMENT = 64L << 20;

  /** A piece of a segment, between its neighbours. */
  static final class Range {
    private final Segment segment;
    private final long address;
    private long bytes;
    private boolean idle = true;
    private @Nullable Range before;
    private @Nullable Range after;

    private Range(Segment segment, long address, long bytes) {
      this.segment = segment;
      this.address = address;
      this.bytes = bytes;
    }

    long address() {
      return address;
    }

    long bytes() {
      return bytes;
    }
  }

  private record Segment(long address, long bytes, boolean small) {}

  private static final Comparator<Range> BEST_FIT =
      Comparator.comparingLong(Range::bytes).thenComparingLong(Range::address);

  private final Driver driver;
  private final TreeSet<Range> idleSmall = new TreeSet<>(BEST_FIT);
  private final TreeSet<Range> idleLarge = new TreeSet<>(BEST_FIT);
  private final Set<Segment> segments = new HashSet<>();
  private long heldBytes;
  private long usedBytes;

  DeviceBlocks(Driver driver) {
    this.driver = driver;
  }

  /** A piece of at least {@code bytes}, or null where the card has none, idle segments given up. */
  @Nullable Range take(long bytes) {
    long wanted = Math.max(GRAIN, Grid.ceil(bytes, GRAIN) * GRAIN);
    Range found = idle(wanted);
    if (found == null) {
      found = grown(wanted);
    }
    if (found != null) {
      split(found, wanted);
      found.idle = false;
      usedBytes += found.bytes;
    }
    return found;
  }

  private @Nullable Range idle(long wanted) {
    TreeSet<Range> idle = wanted <= SMALL ? idleSmall : idleLarge;
    Range key = new Range(new Segment(0, 0, false), 0, wanted);
    Range found = idle.ceiling(key);
    if (found != null) {
      idle.remove(found);
    }
    return found;
  }

  private @Nullable Range grown(long wanted) {
    boolean small = wanted <= SMALL;
    long exact = Grid.ceil(wanted, PAGE) * PAGE;
    long usual = small ? SMALL_SEGMENT : exact >= SEGMENT / 2 ? exact : SEGMENT;
    Range range = segment(usual, small);
    if (range == null) {
      trim();
      range = segment(usual, small);
    }
    return range == null && exact < usual ? segment(exact, small) : range;
  }

  private @Nullable Range segment(long bytes, boolean small) {
    long address = driver.allocate(bytes);
    if (address == 0) {
      return null;
    }
    var segment = new Segment(address, bytes, small);
    segments.add(segment);
    heldBytes += bytes;
    return new Range(segment, address, bytes);
  }

  private void split(Range range, long wanted) {
    if (range.bytes - wanted < GRAIN) {
      return;
    }
    var rest = new Range(range.segment, range.address + wanted, range.bytes - wanted);
    rest.before = range;
    rest.after = range.after;
    if (rest.after != null) {
      rest.after.before = rest;
    }
    range.after = rest;
    range.bytes = wanted;
    idleOf(rest).add(rest);
  }

  private TreeSet<Range> idleOf(Range range) {
    return range.segment.small ? idleSmall : idleLarge;
  }

  void give(Range range) {
    usedBytes -= range.bytes;
    range.idle = true;
    Range whole = range;
    Range before = range.before;
    if (before != null && before.idle) {
      idleOf(before).remove(before);
      whole = before;
      swallow(before, range);
    }
    Range after = whole.after;
    if (after != null && after.idle) {
      idleOf(after).remove(after);
      swallow(whole, after);
    }
    idleOf(whole).add(whole);
  }

  private static void swallow(Range range, Range next) {
    range.bytes += next.bytes;
    range.after = next.after;
    if (range.after != null) {
      range.after.before = range;
    }
  }

  /** Gives segments in which nothing lives back to the driver. */
  void trim() {
    trim(idleSmall);
    trim(idleLarge);
  }

  private void trim(TreeSet<Range> idle) {
    idle.removeIf(
        range -> {
          boolean whole = range.bytes == range.segment.bytes;
          if (whole) {
            release(range.segment);
          }
          return whole;
        });
  }

  private void release(Segment segment) {
    segments.remove(segment);
    heldBytes -= segment.bytes;
    driver.free(segment.address);
  }

  /** Bytes taken from the driver. */
  long heldBytes() {
    return heldBytes;
  }

  /** Bytes of pieces in use, as they were rounded up. */
  long usedBytes() {
    return usedBytes;
  }

  @Override
  public void close() {
    Set.copyOf(segments).forEach(this::release);
    idleSmall.clear();
    idleLarge.clear();
    usedBytes = 0;
  }
}
