package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.nn.Lookup;
import io.moextend.nn.SitePass;
import io.moextend.op.Add;
import io.moextend.op.Dropout;
import io.moextend.op.RmsNorm;
import io.moextend.op.Rows;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * x + attention(norm x); in the decoder also + attention of that to what the encoder gives; +
 * feedForward(norm of that). What is normed is 0 at padding.
 *
 * @param cross null in the encoder
 */
record T5Layer(
    Normed<T5Attention> self,
    @Nullable Normed<T5Attention> cross,
    Normed<T5FeedForward> feedForward,
    double eps)
    implements Module, Weighted, AutoCloseable {
  /** A part and the norm before it. */
  record Normed<P extends Module & Weighted>(Parameter norm, P part) {}

  /** A way of looking. */
  @FunctionalInterface
  interface View {
    /**
     * @param bias of the scores, [heads, queries, keys] wide, or null
     */
    Lookup with(@Nullable Tensor bias);
  }

  /**
   * What a pass tells a layer.
   *
   * @param length of a row
   * @param padding [P] I32, rows that are 0 once normed; null where there are none
   * @param cross how the decoder looks at what the encoder gives; null in the encoder
   * @param known what the decoder's layer made of that before; null where the pass makes it
   */
  record Context(
      int length,
      @Nullable Array padding,
      View self,
      @Nullable View cross,
      T5Attention.@Nullable Pair known) {
    /** A norm's result with zeros at padding. */
    Tensor kept(Tape tape, Tensor normed) {
      return padding == null ? normed : Rows.clear(tape, normed, padding);
    }
  }

  /**
   * @param x [batch·length, hidden]
   * @param memory what the encoder gives; null in the encoder, and where the context has what this
   *     layer made of it
   * @param bias of the attention with itself, [heads, queries, keys] wide
   * @return as x
   */
  Tensor forward(
      Tape tape,
      Tensor x,
      @Nullable Tensor memory,
      Tensor bias,
      Context context,
      SitePass sites,
      @Nullable Dropout drop) {
    Tensor u = normed(tape, x, self.norm, context);
    var own = new T5Attention.Asked(context.self.with(bias), null, sites, drop);
    Tensor looked = self.part.forward(tape, u, null, own);
    Tensor h = sum(tape, x, looked, context, drop, self.part.place());
    if (cross != null && context.cross != null) {
      Tensor c = normed(tape, h, cross.norm, context);
      var asked = new T5Attention.Asked(context.cross.with(null), context.known, sites, drop);
      Tensor seen = cross.part.forward(tape, c, memory, asked);
      h = sum(tape, h, seen, context, drop, cross.part.place());
    }
    Tensor w = normed(tape, h, feedForward.norm, context);
    T5FeedForward network = feedForward.part;
    Tensor made = network.forward(tape, w, context.length, sites, drop);
    return sum(tape, h, made, context, drop, network.place());
  }

  /** What its decoder layer looks at whenever it looks at what the encoder gives. */
  T5Attention.Pair remembered(Tape tape, Tensor memory, SitePass sites) {
    return Objects.requireNonNull(cross, "a layer of the encoder")
        .part
        .remembered(tape, memory, sites);
  }

  private Tensor normed(Tape tape, Tensor x, Parameter norm, Context context) {
    return context.kept(tape, RmsNorm.apply(tape, x, norm, eps));
  }

  private static Tensor sum(
      Tape tape, Tensor x, Tensor part, Context context, @Nullable Dropout drop, String place) {
    Tensor left = drop == null ? part : drop.at(place).features(tape, part, context.length);
    return Add.apply(tape, x, left);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visit(self, visitor);
    if (cross != null) {
      visit(cross, visitor);
    }
    visit(feedForward, visitor);
  }

  private static void visit(Normed<?> part, Consumer<Parameter> visitor) {
    visitor.accept(part.norm);
    part.part.visit(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    self.part.visitWeights(visitor);
    if (cross != null) {
      cross.part.visitWeights(visitor);
    }
    feedForward.part.visitWeights(visitor);
  }

  @Override
  public void close() {
    visitWeights(Weight::close);
  }
}
