package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.op.Activate;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.function.Consumer;

/**
 * down(silu(gate x) · up x): the feed-forward network of a dense model, and one expert of a
 * mixture.
 *
 * @param gateUp gate and up stacked [2·width, hidden]
 * @param down [hidden, width]
 */
public record SwiGlu(Weight gateUp, Weight down) implements Module, Weighted, AutoCloseable {
  /**
   * @param x [R, hidden]; @return [R, hidden]
   */
  public Tensor forward(Tape tape, Tensor x) {
    Tensor inner = Activate.gated(tape, Activation.SILU, Project.apply(tape, x, gateUp));
    return Project.apply(tape, inner, down);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    gateUp.parts().forEach(visitor);
    down.parts().forEach(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(gateUp);
    visitor.accept(down);
  }

  @Override
  public void close() {
    gateUp.close();
    down.close();
  }
}
