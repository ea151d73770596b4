package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.DeviceWire;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Two flat arrays of a bucket's size, used in turn: one is filled or emptied while the other is on
 * its way.
 */
final class Slots implements AutoCloseable {
  private final List<Slot> slots = new ArrayList<>();
  private int turn;

  /** How many a layout needs. */
  static int count(ParameterLayout layout) {
    return Math.min(2, layout.buckets().size());
  }

  /** A collective call, as every rank makes it. */
  Slots(Conversation conversation, String name, ParameterLayout layout, DType dtype) {
    this(conversation, name, layout.buckets(), dtype);
  }

  /** For some of a layout's buckets. A collective call. */
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  Slots(Conversation conversation, String name, List<ParameterLayout.Bucket> buckets, DType dtype) {
    long longest = buckets.stream().mapToLong(ParameterLayout.Bucket::length).max().orElse(0);
    for (int i = 0; i < Math.min(2, buckets.size()); i++) {
      slots.add(new Slot(conversation.flat(name + "." + i, dtype, longest)));
    }
  }

  /** One of the arrays, and what is under way on it. */
  static final class Slot {
    private final DeviceWire.Flat flat;
    private Conversation.@Nullable Ticket ticket;
    private @Nullable Runnable after;

    private Slot(DeviceWire.Flat flat) {
      this.flat = flat;
    }

    DeviceWire.Flat flat() {
      return flat;
    }

    Array array() {
      return flat.array();
    }

    /**
     * @param after what is to be done with the result before the slot is used again
     */
    void sent(Conversation.Ticket by, Runnable after) {
      this.ticket = by;
      this.after = after;
    }

    private void settle() {
      if (ticket != null && after != null) {
        ticket.await();
        after.run();
        ticket = null;
        after = null;
      }
    }
  }

  /** The slot whose turn it is, once its last use is settled. */
  Slot next() {
    Slot slot = slots.get(turn);
    turn = (turn + 1) % slots.size();
    slot.settle();
    return slot;
  }

  /** Waits for all that is under way, the oldest first. */
  void settle() {
    for (int i = 0; i < slots.size(); i++) {
      next();
    }
  }

  @Override
  public void close() {
    slots.forEach(s -> s.flat.close());
  }
}
