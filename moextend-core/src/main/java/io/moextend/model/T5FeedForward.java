package io.moextend.model;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.nn.SitePass;
import io.moextend.nn.Slot;
import io.moextend.op.Activate;
import io.moextend.op.Columns;
import io.moextend.op.Dropout;
import io.moextend.op.Multiply;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * wo(f(wi_0 x) ⊙ wi_1 x), or wo(f(wi x)). An adapter adds to wi_0 and wo, or rescales f(wi_0 x);
 * wi_1 has none.
 *
 * @param inner wi_0 and wi_1 stacked [2·width, hidden], or wi [width, hidden]
 * @param out [hidden, width]
 * @param hidden wi_0's place for an adapter
 * @param outer wo's
 * @param place what its dropout is known by
 */
record T5FeedForward(
    Weight inner,
    Weight out,
    Activation activation,
    boolean gated,
    Slot hidden,
    Slot outer,
    String place)
    implements Module, Weighted, AutoCloseable {
  /**
   * @param x [batch·length, hidden]; @return as x
   */
  Tensor forward(Tape tape, Tensor x, int length, SitePass pass, @Nullable Dropout drop) {
    Tensor h = hidden(tape, x, pass);
    if (drop != null) {
      h = drop.at(place + ".hidden").features(tape, h, length);
    }
    return outer.projected(tape, h, out, pass);
  }

  private Tensor hidden(Tape tape, Tensor x, SitePass pass) {
    if (!gated) {
      return activated(tape, hidden.projected(tape, x, inner, pass), pass);
    }
    if (!hidden.isRescaling()) { // wi_0's are the first of the product's columns
      return Activate.gated(tape, activation, hidden.projected(tape, x, inner, pass));
    }
    Tensor product = Project.apply(tape, x, inner);
    long width = out.parts().getFirst().shape()[1];
    List<Tensor> halves = Columns.split(tape, product, width, width);
    return Multiply.apply(tape, activated(tape, halves.get(0), pass), halves.get(1));
  }

  private Tensor activated(Tape tape, Tensor product, SitePass pass) {
    return hidden.rescaled(tape, Activate.apply(tape, activation, product), pass);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitWeights(weight -> weight.parts().forEach(visitor));
    hidden.visit(visitor);
    outer.visit(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(inner);
    visitor.accept(out);
  }

  @Override
  public void close() {
    inner.close();
    out.close();
  }
}
