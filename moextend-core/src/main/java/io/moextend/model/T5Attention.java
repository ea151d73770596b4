package io.moextend.model;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.nn.Lookup;
import io.moextend.nn.SitePass;
import io.moextend.nn.Slot;
import io.moextend.op.Dropout;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Attention of a T5, of a stack with itself or with the encoder's output. Scores are not scaled.
 *
 * @param first q, k and v stacked [3·inner, hidden], or q alone [inner, hidden]
 * @param memory k and v stacked [2·inner, hidden], of what the encoder gives; null where {@code
 *     first} has them
 * @param out [hidden, inner]
 * @param place what its dropout is known by
 */
record T5Attention(
    Weight first, @Nullable Weight memory, Weight out, Slots slots, int heads, String place)
    implements Module, Weighted, AutoCloseable {
  /** Where adapters may be. */
  record Slots(Slot q, Slot k, Slot v, Slot o) {
    List<Slot> all() {
      return List.of(q, k, v, o);
    }
  }

  /**
   * Of the same tokens, each [tokens, inner].
   *
   * @param keys with what adapters do
   * @param values likewise
   */
  record Pair(Tensor keys, Tensor values) {}

  /**
   * What a pass asks of it.
   *
   * @param lookup what queries see
   * @param known keys and values that were made before; null where the pass makes them
   */
  record Asked(Lookup lookup, @Nullable Pair known, SitePass sites, @Nullable Dropout drop) {}

  /**
   * @param x [batch·queries, hidden]
   * @param other [batch·keys, hidden] that k and v are made of, what the encoder gives; not read
   *     where they are known, or made of {@code x}
   * @return as x
   */
  Tensor forward(Tape tape, Tensor x, @Nullable Tensor other, Asked asked) {
    SitePass pass = asked.sites;
    List<Weight> own = first.each();
    Pair pair;
    if (memory == null) {
      pair = pair(tape, x, own.subList(1, 3), pass);
    } else {
      Pair known = asked.known;
      pair = known == null ? remembered(tape, Objects.requireNonNull(other), pass) : known;
    }
    Tensor q = slots.q.projected(tape, x, own.getFirst(), pass);
    Tensor v = pair.values;
    Dropout drop = asked.drop;
    if (drop != null) {
      v = drop.at(place + ".weights").values(tape, v, heads);
    }
    Tensor y = asked.lookup.attend(tape, q, pair.keys, v);
    return slots.o.projected(tape, y, out, pass);
  }

  /**
   * Keys and values of what the encoder gives, which are the same for every query.
   *
   * @param other [batch·keys, hidden]
   */
  Pair remembered(Tape tape, Tensor other, SitePass pass) {
    Weight both = Objects.requireNonNull(memory, "attention of a stack with itself");
    return pair(tape, other, both.each(), pass);
  }

  private Pair pair(Tape tape, Tensor read, List<Weight> weights, SitePass pass) {
    return new Pair(
        slots.k.rescaled(tape, slots.k.projected(tape, read, weights.get(0), pass), pass),
        slots.v.rescaled(tape, slots.v.projected(tape, read, weights.get(1), pass), pass));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitWeights(weight -> weight.parts().forEach(visitor));
    slots.all().forEach(slot -> slot.visit(visitor));
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(first);
    if (memory != null) {
      visitor.accept(memory);
    }
    visitor.accept(out);
  }

  @Override
  public void close() {
    visitWeights(Weight::close);
  }
}
