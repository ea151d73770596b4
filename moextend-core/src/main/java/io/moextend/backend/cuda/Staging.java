package io.moextend.backend.cuda;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Copies between the host's memory and the card's through page-locked buffers taken in turn, so
 * that one is filled while others are on their way, and the small copies of a step do not wait for
 * what the card is still to do. A copy to the card returns when the host's memory was read, one to
 * the host when it was written.
 */
final class Staging implements AutoCloseable {
  private final Driver driver;
  private final long stream;
  private final int size;
  private final Buffer[] buffers;
  private int next;

  private record Buffer(MemorySegment memory, long event) {}

  /** A transfer to the host that is under way. */
  private record Arrival(Buffer buffer, long at, long bytes) {}

  /**
   * @param count of buffers
   * @param size of each, in bytes
   */
  Staging(Driver driver, long stream, int count, int size) {
    this.driver = driver;
    this.stream = stream;
    this.size = size;
    this.buffers = new Buffer[count];
    for (int i = 0; i < count; i++) {
      buffers[i] = new Buffer(driver.pin(size), driver.event());
    }
  }

  /** The next buffer, once nothing is on its way through it any more. */
  private Buffer take() {
    Buffer buffer = buffers[next];
    next = (next + 1) % buffers.length;
    driver.waitFor(buffer.event);
    return buffer;
  }

  synchronized void toCard(long to, MemorySegment from) {
    long bytes = from.byteSize();
    for (long at = 0; at < bytes; at += size) {
      long part = Math.min(size, bytes - at);
      Buffer buffer = take();
      MemorySegment.copy(from, at, buffer.memory, 0, part);
      driver.copy(to + at, buffer.memory.address(), part, stream);
      driver.record(buffer.event, stream);
    }
  }

  synchronized void toHost(MemorySegment to, long from) {
    long bytes = to.byteSize();
    Arrival before = null;
    for (long at = 0; at < bytes; at += size) {
      long part = Math.min(size, bytes - at);
      Buffer buffer = take();
      driver.copy(buffer.memory.address(), from + at, part, stream);
      driver.record(buffer.event, stream);
      finish(before, to);
      before = new Arrival(buffer, at, part);
    }
    finish(before, to);
  }

  private void finish(@Nullable Arrival arrival, MemorySegment to) {
    if (arrival != null) {
      driver.waitFor(arrival.buffer.event);
      MemorySegment.copy(arrival.buffer.memory, 0, to, arrival.at, arrival.bytes);
    }
  }

  @Override
  public void close() {
    for (Buffer buffer : buffers) {
      driver.destroyEvent(buffer.event);
      driver.unpin(buffer.memory);
    }
  }
}
