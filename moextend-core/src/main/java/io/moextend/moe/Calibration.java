package io.moextend.moe;

import io.moextend.array.DType;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.op.Activate;
import io.moextend.op.Add;
import io.moextend.op.Cast;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.function.Consumer;

/**
 * q = p + W2 gelu(W1 p): shifts the weights of the chosen experts, never the choice. W2 starts at
 * zero.
 *
 * @param first W1 [16, E]
 * @param second W2 [E, 16]
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, section 3.3
 */
public record Calibration(Weight first, Weight second) implements Module, Weighted, AutoCloseable {
  /** Width between the two layers. */
  public static final int WIDTH = 16;

  /**
   * @param p [T, E] wide; @param compute type of the products; @return [T, E] wide, may be negative
   */
  public Tensor forward(Tape tape, Tensor p, DType compute) {
    Tensor inner = Project.apply(tape, Cast.apply(tape, p, compute), first);
    Tensor shift =
        Project.apply(tape, Activate.apply(tape, Activation.GELU, inner), second, p.data().dtype());
    return Add.apply(tape, p, shift);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    first.parts().forEach(visitor);
    second.parts().forEach(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(first);
    visitor.accept(second);
  }

  @Override
  public void close() {
    first.close();
    second.close();
  }
}
