package io.moextend.adapter;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.nn.Site;
import io.moextend.nn.SitePass;
import io.moextend.op.Rescale;
import io.moextend.op.Reshape;
import io.moextend.op.ScaleColumns;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * (IA)³, y ⊙ scaling, and MoV, y ⊙ Σ_e p_e scaling_e. MoV's router reads what is multiplied: of
 * keys and values each head by itself, all with one kernel.
 *
 * @param scaling of (IA)³ [H, K] or [F]; of MoV [H, E, K] or [E, F]
 * @param router null of (IA)³
 */
record VectorSite(String module, Parameter scaling, @Nullable SiteRouter router)
    implements Site.Rescaling, Weighted, AutoCloseable {
  @Override
  public Tensor rescale(Tape tape, Tensor y, SitePass pass) {
    Tensor rescaled =
        router == null
            ? ScaleColumns.apply(tape, y, Reshape.apply(tape, scaling, scaling.size()))
            : mixed(tape, y, router, pass);
    pass.watch().accept("adapter_output." + module, rescaled.data());
    return rescaled;
  }

  private Tensor mixed(Tape tape, Tensor y, SiteRouter router, SitePass pass) {
    long[] shape = scaling.shape();
    boolean byHead = shape.length == 3;
    long heads = byHead ? shape[0] : 1;
    long size = shape[shape.length - 1];
    Tensor each = byHead ? Reshape.apply(tape, y, y.data().dim(0) * heads, size) : y;
    Tensor shares = router.shares(tape, each, pass);
    Tensor vectors = byHead ? scaling : Reshape.apply(tape, scaling, 1, shape[0], size);
    return Rescale.apply(tape, y, shares, vectors);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitor.accept(scaling);
    if (router != null) {
      visitor.accept(router.parameter());
    }
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    if (router != null) {
      visitor.accept(router.kernel());
    }
  }

  @Override
  public void close() {
    visitWeights(Weight::close);
  }
}
