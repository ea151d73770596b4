package io.moextend.moe;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.backend.Dispatch;
import io.moextend.nn.SwiGlu;
import io.moextend.op.Activate;
import io.moextend.op.GroupedProject;
import io.moextend.op.Jitter;
import io.moextend.op.Route;
import io.moextend.op.Rows;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A router and its experts: route, rows to experts, the experts' products in one call each, rows
 * back weighted.
 */
public final class MoeLayer implements Module, Weighted, AutoCloseable {
  private final Router router;
  private final List<SwiGlu> experts;
  private final List<Weight> gateUps;
  private final List<Weight> downs;
  private final double jitter;

  public MoeLayer(Router router, List<SwiGlu> experts) {
    this(router, experts, 0);
  }

  /**
   * @param jitter half the width of the uniform noise that scales the input where a pass has noise
   */
  public MoeLayer(Router router, List<SwiGlu> experts, double jitter) {
    if (router.experts() != experts.size()) {
      throw new IllegalArgumentException(
          "the router chooses among %d experts, the layer has %d"
              .formatted(router.experts(), experts.size()));
    }
    this.router = router;
    this.jitter = jitter;
    this.experts = List.copyOf(experts);
    this.gateUps = experts.stream().map(e -> e.gateUp().weight()).toList();
    this.downs = experts.stream().map(e -> e.down().weight()).toList();
  }

  /**
   * @param hidden [T, H], or [R, H] of the rows that were asked for
   * @param decision for all T
   */
  public record Result(Tensor hidden, Router.Decision decision) {}

  /**
   * @param asked [R] I32, the tokens whose result will be read: all are routed, the experts see
   *     these; null = all
   */
  public Result forward(Tape tape, Router.Tokens given, @Nullable Array asked) {
    Router.Tokens tokens = noisy(tape, given);
    Router.Decision decision = router.route(tape, tokens);
    if (asked == null) {
      return new Result(
          experts(tape, tokens.hidden(), decision.chosen(), decision.weights()), decision);
    }
    Tensor hidden = Rows.gather(tape, tokens.hidden(), asked);
    Array chosen = tape.backend().gatherRows(tape.arena(), decision.chosen(), asked);
    Tensor weights = Rows.gather(tape, decision.weights(), asked);
    return new Result(experts(tape, hidden, chosen, weights), decision);
  }

  private Router.Tokens noisy(Tape tape, Router.Tokens tokens) {
    Long noise = tokens.noise();
    return jitter == 0 || noise == null
        ? tokens
        : new Router.Tokens(
            Jitter.apply(tape, tokens.hidden(), jitter, noise),
            tokens.modalities(),
            tokens.forced(),
            null);
  }

  /** What each column of the router's logits is about. */
  public List<Router.Window> windows() {
    return router.windows();
  }

  private Tensor experts(Tape tape, Tensor hidden, Array chosen, Tensor weights) {
    Dispatch dispatch = tape.backend().dispatch(tape.arena(), chosen, router.experts());
    Tensor rows = Route.permute(tape, hidden, dispatch);
    Tensor gateUp = GroupedProject.apply(tape, rows, dispatch, gateUps);
    Tensor inner = Activate.gated(tape, Activation.SILU, gateUp);
    Tensor outs = GroupedProject.apply(tape, inner, dispatch, downs);
    return Route.combine(tape, outs, weights, dispatch);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    router.visit(visitor);
    experts.forEach(e -> e.visit(visitor));
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    router.visitWeights(visitor);
    experts.forEach(e -> e.visitWeights(visitor));
  }

  @Override
  public void close() {
    router.close();
    experts.forEach(SwiGlu::close);
  }
}
