package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Range;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Gradients pass through two buckets and are gone; what stays on a rank are the sums of its own
 * pieces (ZeRO-2). Every micro-batch is exchanged.
 *
 * <p>Gradients come in the order of the buckets but for a few, such as a tied head's, which belongs
 * to the embedding: those wait by themselves for their bucket's turn.
 */
final class PassingGradients implements GradientExchange {
  private final Backend backend;
  private final Conversation conversation;
  private final Arena arena;
  private final ParameterLayout layout;
  private final Holding holding;
  private final HandOver handOver;
  private final Slots slots;
  private final Array own;
  private final @Nullable Array wideBucket;
  private final Map<Slice, Array> ahead = new LinkedHashMap<>();
  private final BitSet touched = new BitSet();
  private Slots.@Nullable Slot open;

  /**
   * @param arena owns what is not exchanged; outlives this
   * @param holding this rank's pieces
   * @param payload the wide type, or a narrower one to be exchanged
   */
  PassingGradients(
      Backend backend,
      Conversation conversation,
      Arena arena,
      ParameterLayout layout,
      Holding holding,
      DType payload) {
    this.backend = backend;
    this.conversation = conversation;
    this.arena = arena;
    this.layout = layout;
    this.holding = holding;
    this.handOver = new HandOver(layout, this::hand);
    this.slots = new Slots(conversation, "gradients", layout, payload);
    this.own = arena.allocate(layout.wide(), holding.length());
    this.wideBucket =
        payload == layout.wide() ? null : arena.allocate(layout.wide(), layout.longestBucket());
    clear();
  }

  @Override
  public void begin(boolean last) {
    handOver.begin();
  }

  @Override
  public void accept(Parameter parameter, Array gradient) {
    Slice slice = layout.slice(parameter);
    backend.accumulateInto(
        handOver.isTurnOf(slice) ? inBucket(slice) : waiting(slice), gradient, 1);
    touched.set(slice.index());
  }

  private Array inBucket(Slice slice) {
    Bucket bucket = layout.bucket(slice);
    return bucket.of(filled(bucket), new Range(slice.from(), slice.to()));
  }

  private Array waiting(Slice slice) {
    return ahead.computeIfAbsent(
        slice,
        s -> {
          Array early = arena.allocate(layout.wide(), s.to() - s.from());
          backend.fillInto(early, 0);
          return early;
        });
  }

  /** What the bucket whose turn it is adds up in, begun with what came ahead of its turn. */
  private Array filled(Bucket bucket) {
    Slots.Slot slot = open;
    if (slot != null) {
      return wideBucket == null ? slot.array() : wideBucket;
    }
    slot = slots.next();
    open = slot;
    Array filled = wideBucket == null ? slot.array() : wideBucket;
    backend.fillInto(filled.slice(0, bucket.length()), 0);
    for (Slice slice : bucket.slices()) {
      Array early = ahead.remove(slice);
      if (early != null) {
        backend.copyInto(bucket.of(filled, new Range(slice.from(), slice.to())), early);
        arena.free(early);
      }
    }
    return filled;
  }

  @Override
  public void reached(int unit) {
    handOver.reached(unit);
  }

  private void hand(Bucket bucket) {
    Array filled = filled(bucket).slice(0, bucket.length());
    Slots.Slot slot = Objects.requireNonNull(open);
    open = null;
    Array sent = slot.array().slice(0, bucket.length());
    if (wideBucket != null) {
      backend.copyInto(sent, filled);
    }
    slot.sent(
        conversation.reduceScatter(
            "gradients of bucket " + bucket.index(), slot.flat(), 0, bucket.length()),
        () ->
            backend.accumulateInto(
                holding.of(own, bucket), bucket.of(sent, holding.range(bucket)), 1));
  }

  @Override
  public void rest() {
    handOver.rest();
  }

  @Override
  public void finish() {
    rest();
    slots.settle();
  }

  @Override
  public Array sum(Bucket bucket, Range range) {
    return holding.of(own, bucket, range.from(), range.to());
  }

  @Override
  public BitSet touched() {
    return touched;
  }

  @Override
  public void clear() {
    backend.fillInto(own, 0);
    touched.clear();
  }

  @Override
  public void close() {
    slots.close();
  }
}
