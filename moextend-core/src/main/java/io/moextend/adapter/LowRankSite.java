package io.moextend.adapter;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.nn.Site;
import io.moextend.nn.SitePass;
import io.moextend.op.Project;
import io.moextend.op.Scale;
import io.moextend.op.ScaleBlocks;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * LoRA, delta = alpha / rank · (x A) B, and MoLoRA, alpha / rank · Σ_e p_e (x A_e) B_e: two
 * products however many experts there are, between them each expert's columns times its share.
 *
 * @param a all experts' A [E·rank, in]
 * @param b all experts' B [E·rank, out]
 * @param router null of LoRA
 */
record LowRankSite(String module, Weight a, Weight b, @Nullable SiteRouter router, double scale)
    implements Site.Additive, Weighted, AutoCloseable {
  @Override
  public Tensor delta(Tape tape, Tensor x, SitePass pass) {
    Tensor delta = Project.transposed(tape, mixed(tape, x, pass), b);
    pass.watch().accept("adapter_output." + module, delta.data());
    return delta;
  }

  @Override
  public Product product(Tape tape, Tensor x, SitePass pass) {
    Tensor mixed = mixed(tape, x, pass);
    if (pass.isWatched()) {
      Tape aside = Tape.off(tape.backend(), tape.arena());
      Tensor delta = Project.transposed(aside, mixed, b);
      pass.watch().accept("adapter_output." + module, delta.data());
    }
    return new Product(mixed, b);
  }

  private Tensor mixed(Tape tape, Tensor x, SitePass pass) {
    Tensor product = Project.apply(tape, x, a);
    Tensor inner = scale == 1 ? product : Scale.apply(tape, product, scale);
    return router == null ? inner : ScaleBlocks.apply(tape, inner, router.shares(tape, x, pass));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    a.parts().forEach(visitor);
    b.parts().forEach(visitor);
    if (router != null) {
      visitor.accept(router.parameter());
    }
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(a);
    visitor.accept(b);
    if (router != null) {
      visitor.accept(router.kernel());
    }
  }

  @Override
  public void close() {
    visitWeights(Weight::close);
  }
}
