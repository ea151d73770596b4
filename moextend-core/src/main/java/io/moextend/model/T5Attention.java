package io.moextend.model;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import io.moextend.nn.SitePass;
import io.moextend.nn.Slot;
import io.moextend.op.Attend;
import io.moextend.op.Columns;
import io.moextend.op.Dropout;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.List;
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
   * What a pass asks of it.
   *
   * @param bias [heads, queries, keys] wide, or null
   */
  record Asked(
      Attention shape,
      Sight sight,
      @Nullable Tensor bias,
      SitePass sites,
      @Nullable Dropout drop) {}

  /**
   * @param x [batch·queries, hidden]
   * @param other [batch·keys, hidden] that k and v are made of: {@code x} itself, or what the
   *     encoder gives
   * @return as x
   */
  Tensor forward(Tape tape, Tensor x, Tensor other, Asked asked) {
    SitePass pass = asked.sites;
    long inner = out.parts().getFirst().shape()[1];
    List<Tensor> parts;
    if (memory == null) {
      parts = Columns.split(tape, Project.apply(tape, x, first), inner, inner, inner);
    } else {
      List<Tensor> pair = Columns.split(tape, Project.apply(tape, other, memory), inner, inner);
      parts = List.of(Project.apply(tape, x, first), pair.get(0), pair.get(1));
    }
    Tensor q = slots.q.added(tape, x, parts.get(0), pass);
    Tensor k = slots.k.rescaled(tape, slots.k.added(tape, other, parts.get(1), pass), pass);
    Tensor v = slots.v.rescaled(tape, slots.v.added(tape, other, parts.get(2), pass), pass);
    Dropout drop = asked.drop;
    if (drop != null) {
      v = drop.at(place + ".weights").values(tape, v, heads);
    }
    Tensor y = Attend.apply(tape, asked.shape, q, k, v, asked.sight, asked.bias);
    return slots.o.added(tape, y, Project.apply(tape, y, out), pass);
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
