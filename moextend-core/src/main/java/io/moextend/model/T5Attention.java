package io.moextend.model;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.nn.Lookup;
import io.moextend.nn.SitePass;
import io.moextend.nn.Slot;
import io.moextend.op.Columns;
import io.moextend.op.Dropout;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Attention of a T5, of a stack with itself or with the encoder's output. Scores are not scaled; q,
 * k and v of one input are one product.
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
    Tensor query;
    Pair pair;
    if (memory == null) {
      long inner = inner();
      List<Tensor> parts = Columns.split(tape, Project.apply(tape, x, first), inner, inner, inner);
      query = parts.get(0);
      pair = adapted(tape, x, parts.get(1), parts.get(2), pass);
    } else {
      Pair known = asked.known;
      pair = known == null ? remembered(tape, Objects.requireNonNull(other), pass) : known;
      query = Project.apply(tape, x, first);
    }
    Tensor q = slots.q.added(tape, x, query, pass);
    Tensor v = pair.values;
    Dropout drop = asked.drop;
    if (drop != null) {
      v = drop.at(place + ".weights").values(tape, v, heads);
    }
    Tensor y = asked.lookup.attend(tape, q, pair.keys, v);
    return slots.o.added(tape, y, Project.apply(tape, y, out), pass);
  }

  /**
   * Keys and values of what the encoder gives, which are the same for every query.
   *
   * @param other [batch·keys, hidden]
   */
  Pair remembered(Tape tape, Tensor other, SitePass pass) {
    Weight both = Objects.requireNonNull(memory, "attention of a stack with itself");
    List<Tensor> parts = Columns.split(tape, Project.apply(tape, other, both), inner(), inner());
    return adapted(tape, other, parts.get(0), parts.get(1), pass);
  }

  private Pair adapted(Tape tape, Tensor read, Tensor k, Tensor v, SitePass pass) {
    return new Pair(
        slots.k.rescaled(tape, slots.k.added(tape, read, k, pass), pass),
        slots.v.rescaled(tape, slots.v.added(tape, read, v, pass), pass));
  }

  private long inner() {
    return out.parts().getFirst().shape()[1];
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
