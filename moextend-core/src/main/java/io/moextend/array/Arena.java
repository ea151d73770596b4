package io.moextend.array;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.ArrayList;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * The one owner of a set of arrays: a step's temporaries, a model's weights, an optimizer's state.
 * Closing it frees all that is left. Not thread-safe.
 */
public final class Arena implements AutoCloseable {
  private final String name;
  private final Memory memory;
  private final Map<Array, Long> live = new IdentityHashMap<>();
  private final List<Array> order = new ArrayList<>();
  private long next;
  private long liveBytes;
  private long peakBytes;
  private boolean closed;

  @MustBeClosed
  public Arena(String name, Memory memory) {
    this.name = name;
    this.memory = memory;
    memory.opened(this);
  }

  public String name() {
    return name;
  }

  /** Uninitialised memory that lives until it is freed or the arena is closed. */
  public Array allocate(DType dtype, long... shape) {
    if (closed) {
      throw new IllegalStateException("arena " + name + " is closed");
    }
    return adopt(memory.allocate(dtype, shape));
  }

  /** Takes over an array that its memory's owner made in another way, to free it as its own. */
  public Array adopt(Array array) {
    live.put(array, next++);
    order.add(array);
    liveBytes += array.bytes();
    peakBytes = Math.max(peakBytes, liveBytes);
    return array;
  }

  /**
   * Gives back the memory under {@code array} before the arena closes; a no-op where it is not this
   * arena's.
   */
  public void free(Array array) {
    Array base = array.base();
    if (live.remove(base) != null) {
      liveBytes -= base.bytes();
      memory.free(base);
    }
  }

  /**
   * From now on {@code array} is {@code to}'s, with the memory under it.
   *
   * @param to of the same memory
   * @throws IllegalStateException where it is no whole array of this arena
   */
  public void handOver(Array array, Arena to) {
    if (to.closed || to.memory != memory || live.remove(array) == null) {
      throw new IllegalStateException("%s is not arena %s's to give".formatted(array, name));
    }
    liveBytes -= array.bytes();
    to.adopt(array);
  }

  public boolean owns(Array array) {
    return live.containsKey(array.base());
  }

  /** A point in time to ask {@link #since} about. */
  public long mark() {
    return next;
  }

  /** What was allocated since {@code mark} and is still alive, oldest first. */
  public List<Array> since(long mark) {
    var found = new ArrayList<Array>();
    for (int i = order.size() - 1; i >= 0; i--) {
      Array array = order.get(i);
      Long born = live.get(array);
      if (born == null) {
        if (i == order.size() - 1) {
          order.removeLast();
        }
        continue;
      }
      if (born < mark) {
        break;
      }
      found.add(array);
    }
    return found.reversed();
  }

  /** Bytes this arena owns now. */
  public long liveBytes() {
    return liveBytes;
  }

  /** The most bytes it ever owned. */
  public long peakBytes() {
    return peakBytes;
  }

  @Override
  public void close() {
    Collection<Array> left = List.copyOf(live.keySet());
    live.clear();
    order.clear();
    liveBytes = 0;
    closed = true;
    left.forEach(memory::free);
    memory.closed(this);
  }
}
