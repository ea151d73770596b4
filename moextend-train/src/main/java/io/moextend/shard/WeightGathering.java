package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Range;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * Puts new weights together from what each rank has updated, bucket by bucket: while one bucket is
 * gathered the next one is updated.
 */
final class WeightGathering implements AutoCloseable {
  private final Backend backend;
  private final Conversation conversation;
  private final ParameterLayout layout;
  private final Holding holding;
  private final WeightPieces pieces;
  private final Slots slots;

  WeightGathering(
      Backend backend,
      Conversation conversation,
      ParameterLayout layout,
      Holding holding,
      WeightPieces pieces) {
    this.backend = backend;
    this.conversation = conversation;
    this.layout = layout;
    this.holding = holding;
    this.pieces = pieces;
    List<Bucket> whole = layout.buckets().stream().filter(b -> pieces.of(b) == null).toList();
    this.slots = new Slots(conversation, "weights", whole, layout.compute());
  }

  /**
   * @param masters this rank's
   * @param update makes a bucket's masters new
   * @param changed parameters that may have; the same on every rank
   */
  void run(Array masters, Consumer<Bucket> update, Predicate<Slice> changed) {
    for (Bucket bucket : layout.buckets()) {
      update.accept(bucket);
      Array piece = pieces.of(bucket);
      if (piece != null) { // gathered when its layer runs
        backend.copyInto(piece, holding.of(masters, bucket));
        continue;
      }
      Slots.Slot slot = slots.next();
      Range own = holding.range(bucket);
      backend.copyInto(bucket.of(slot.array(), own), holding.of(masters, bucket));
      slot.sent(
          conversation.allGather(
              "weights of bucket " + bucket.index(), slot.flat(), 0, bucket.length()),
          () -> publish(bucket, slot.array(), changed));
    }
    slots.settle();
  }

  private void publish(Bucket bucket, Array gathered, Predicate<Slice> changed) {
    for (Slice slice : bucket.slices()) {
      if (changed.test(slice)) {
        Parameter parameter = slice.parameter();
        backend.copyInto(
            parameter.data().reshape(parameter.data().size()),
            bucket.of(gathered, new Range(slice.from(), slice.to())));
        parameter.updated();
      }
    }
  }

  @Override
  public void close() {
    slots.close();
  }
}
