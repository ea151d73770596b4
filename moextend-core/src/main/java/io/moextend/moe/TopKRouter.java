package io.moextend.moe;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.op.Project;
import io.moextend.op.Route;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Mixtral's router and MoExtend's extended one: l = [gate x | new gate x], p = softmax(l), the k
 * largest p choose, and the chosen entries of p (calibrated: of q) divided by their sum weigh.
 */
public final class TopKRouter implements Router {
  private final Weight gate;
  private final int topK;
  private final @Nullable Calibration calibration;
  private final int experts;

  /**
   * @param gate [E, H]; an extended layer stacks the new expert's row below
   * @param calibration null in a layer that is not extended
   */
  public TopKRouter(Weight gate, int topK, @Nullable Calibration calibration) {
    this.gate = gate;
    this.topK = topK;
    this.calibration = calibration;
    this.experts = (int) gate.parts().stream().mapToLong(p -> p.shape()[0]).sum();
  }

  @Override
  public int experts() {
    return experts;
  }

  @Override
  public List<Window> windows() {
    return List.of(new Window(TokenGroup.ALL, 0, experts, 0));
  }

  @Override
  public Decision route(Tape tape, Tokens tokens) {
    DType compute = tokens.hidden().data().dtype();
    Tensor logits = Project.apply(tape, tokens.hidden(), gate, compute.wide());
    Tensor p = Route.probabilities(tape, logits);
    Array forced = tokens.forced();
    Array chosen = forced != null ? forced : tape.backend().topK(tape.arena(), p.data(), topK);
    Tensor q = calibration == null ? p : calibration.forward(tape, p, compute);
    return new Decision(
        new Scores(logits, p, chosen), chosen, Route.weights(tape, q, chosen, true));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    gate.parts().forEach(visitor);
    if (calibration != null) {
      calibration.visit(visitor);
    }
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(gate);
    if (calibration != null) {
      calibration.visitWeights(visitor);
    }
  }

  @Override
  public void close() {
    gate.close();
    if (calibration != null) {
      calibration.close();
    }
  }
}
