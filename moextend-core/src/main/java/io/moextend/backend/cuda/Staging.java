package io.moextend.backend.cuda;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Copies between the host's memory and the card's through two page-locked buffers, one being filled
 * while the other is on its way. A copy to the card returns when the host's memory was read, one to
 * the host when it was written.
 */
final class Staging implements AutoCloseable {
  private final Driver driver;
  private final long stream;
  private final int size;
  private final Half[] halves;
  private int next;

  private record Half(MemorySegment memory, long event) {}

  /** A transfer to the host that is under way. */
  private record Arrival(Half half, long at, long bytes) {}

  Staging(Driver driver, long stream, int size) {
    this.driver = driver;
    this.stream = stream;
    this.size = size;
    this.halves = new Half[] {half(), half()};
  }

  private Half half() {
    return new Half(driver.pin(size), driver.event());
  }

  /** The next half, once nothing is on its way through it any more. */
  private Half take() {
    Half half = halves[next];
    next = 1 - next;
    driver.waitFor(half.event);
    return half;
  }

  synchronized void toCard(long to, MemorySegment from) {
    long bytes = from.byteSize();
    for (long at = 0; at < bytes; at += size) {
      long part = Math.min(size, bytes - at);
      Half half = take();
      MemorySegment.copy(from, at, half.memory, 0, part);
      driver.copy(to + at, half.memory.address(), part, stream);
      driver.record(half.event, stream);
    }
  }

  synchronized void toHost(MemorySegment to, long from) {
    long bytes = to.byteSize();
    Arrival before = null;
    for (long at = 0; at < bytes; at += size) {
      long part = Math.min(size, bytes - at);
      Half half = take();
      driver.copy(half.memory.address(), from + at, part, stream);
      driver.record(half.event, stream);
      finish(before, to);
      before = new Arrival(half, at, part);
    }
    finish(before, to);
  }

  private void finish(@Nullable Arrival arrival, MemorySegment to) {
    if (arrival != null) {
      driver.waitFor(arrival.half.event);
      MemorySegment.copy(arrival.half.memory, 0, to, arrival.at, arrival.bytes);
    }
  }

  @Override
  public void close() {
    for (Half half : halves) {
      driver.destroyEvent(half.event);
      driver.unpin(half.memory);
    }
  }
}
