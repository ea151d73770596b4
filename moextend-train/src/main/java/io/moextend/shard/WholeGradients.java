package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.Conversation.Ticket;
import io.moextend.comm.device.DeviceWire;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Range;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Every rank adds up the gradients of all parameters over a step's micro-batches; the last one's
 * backward pass hands over bucket after bucket (ZeRO-0 and 1).
 */
final class WholeGradients implements GradientExchange {
  private final Backend backend;
  private final Conversation conversation;
  private final ParameterLayout layout;
  private final boolean everywhere;
  private final HandOver handOver;
  private final Array whole;
  private final DeviceWire.@Nullable Flat inPlace;
  private final @Nullable Slots narrow;
  private final List<Ticket> tickets = new ArrayList<>();
  private final BitSet touched = new BitSet();
  private boolean exchanging;

  /**
   * @param arena owns what is not exchanged; outlives this
   * @param payload the wide type, exchanged in place, or a narrower one
   * @param everywhere true where each rank gets all sums, false where each gets its pieces
   */
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  WholeGradients(
      Backend backend,
      Conversation conversation,
      Arena arena,
      ParameterLayout layout,
      DType payload,
      boolean everywhere) {
    this.backend = backend;
    this.conversation = conversation;
    this.layout = layout;
    this.everywhere = everywhere;
    this.handOver = new HandOver(layout, this::hand);
    if (payload == layout.wide()) {
      this.inPlace = conversation.flat("gradients", payload, layout.length());
      this.whole = inPlace.array();
      this.narrow = null;
    } else {
      this.inPlace = null;
      this.whole = arena.allocate(layout.wide(), layout.length());
      this.narrow = new Slots(conversation, "gradients", layout, payload);
    }
    clear();
  }

  @Override
  public void begin(boolean last) {
    if (exchanging) {
      throw new IllegalStateException("another micro-batch after the last one of the step");
    }
    if (last) {
      exchanging = true;
      handOver.begin();
    }
  }

  @Override
  public void accept(Parameter parameter, Array gradient) {
    Slice slice = layout.slice(parameter);
    if (exchanging) {
      handOver.requireOpen(slice);
    }
    backend.accumulateInto(slice.of(whole), gradient, 1);
    touched.set(slice.index());
  }

  @Override
  public void reached(int unit) {
    if (exchanging) {
      handOver.reached(unit);
    }
  }

  private void hand(Bucket bucket) {
    String what = "gradients of bucket " + bucket.index();
    if (inPlace != null) {
      tickets.add(exchange(what, inPlace, bucket.from(), bucket.to()));
    } else if (narrow != null) {
      Slots.Slot slot = narrow.next();
      Array sent = slot.array().slice(0, bucket.length());
      backend.copyInto(sent, whole.slice(bucket.from(), bucket.to()));
      slot.sent(
          exchange(what, slot.flat(), 0, bucket.length()),
          () -> {
            Range got = everywhere ? bucket.range() : layout.piece(bucket, conversation.rank());
            backend.copyInto(whole.slice(got.from(), got.to()), bucket.of(sent, got));
          });
    }
  }

  private Ticket exchange(String what, DeviceWire.Flat flat, long from, long to) {
    return everywhere
        ? conversation.allReduce(what, flat, from, to)
        : conversation.reduceScatter(what, flat, from, to);
  }

  @Override
  public void rest() {
    handOver.rest();
  }

  @Override
  public void finish() {
    if (!exchanging) {
      begin(true);
    }
    rest();
    tickets.forEach(Ticket::await);
    tickets.clear();
    if (narrow != null) {
      narrow.settle();
    }
  }

  @Override
  public Array sum(Bucket bucket, Range range) {
    return whole.slice(range.from(), range.to());
  }

  @Override
  public BitSet touched() {
    return touched;
  }

  @Override
  public void clear() {
    backend.fillInto(whole, 0);
    touched.clear();
    exchanging = false;
  }

  @Override
  public void close() {
    if (inPlace != null) {
      inPlace.close();
    }
    if (narrow != null) {
      narrow.close();
    }
  }
}
