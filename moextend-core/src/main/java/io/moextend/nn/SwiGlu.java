package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.op.Activate;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * down(silu(gate x) · up x): the feed-forward network of a dense model, and one expert of a
 * mixture.
 *
 * @param gateUp gate and up stacked [2·width, hidden]
 * @param down [hidden, width]
 * @param inner multiplies what down reads; null where there is no such adapter
 */
public record SwiGlu(Linear gateUp, Linear down, Site.@Nullable Rescaling inner)
    implements Module, Weighted, AutoCloseable {
  /** One without adapters. */
  public SwiGlu(Weight gateUp, Weight down) {
    this(new Linear(gateUp), new Linear(down), null);
  }

  /**
   * @param x [R, hidden]; @return [R, hidden]
   */
  public Tensor forward(Tape tape, Tensor x, SitePass pass) {
    Tensor hidden = Activate.gated(tape, Activation.SILU, gateUp.forward(tape, x, pass));
    Tensor read = inner == null ? hidden : inner.rescale(tape, hidden, pass);
    return down.forward(tape, read, pass);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    gateUp.visit(visitor);
    if (inner != null) {
      inner.visit(visitor);
    }
    down.visit(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    gateUp.visitWeights(visitor);
    if (inner != null) {
      Linear.visitWeights(inner, visitor);
    }
    down.visitWeights(visitor);
  }

  @Override
  public void close() {
    gateUp.close();
    down.close();
  }
}
