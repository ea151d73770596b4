package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.moe.Modalities;
import io.moextend.moe.MoeLayer;
import io.moextend.moe.Router;
import io.moextend.nn.Lookup;
import io.moextend.nn.SelfAttention;
import io.moextend.nn.SitePass;
import io.moextend.nn.SwiGlu;
import io.moextend.op.Add;
import io.moextend.op.RmsNorm;
import io.moextend.op.Rows;
import io.moextend.op.SplitHeads.Rotation;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** h = x + attention(norm x); h + feedForward(norm h). */
final class DecoderLayer implements Module, Weighted, AutoCloseable {
  /** What follows the attention. */
  sealed interface FeedForward {
    record Dense(SwiGlu network) implements FeedForward {}

    record Mixture(MoeLayer layer) implements FeedForward {}
  }

  /**
   * What a layer is told of a pass.
   *
   * @param modalities null where all tokens are routed alike
   */
  record Context(
      Attention shape, Rotation rotation, Lookup lookup, @Nullable Modalities modalities) {}

  /**
   * What is asked of one layer of a pass.
   *
   * @param forced [T, k] I32, the choice of experts to replay, or null
   * @param rows [R] I32, the rows of the result that will be read; null = all T
   * @param noise seed of the layer's noise in a training pass; null = none
   * @param watch sees what the network or the experts are given, "mlp_in", and give, "mlp_out"
   * @param sites what the layer's adapters are told; also what {@code routed} is given is returned
   */
  record Asked(
      @Nullable Array forced,
      @Nullable Array rows,
      @Nullable Long noise,
      Watch watch,
      SitePass sites) {}

  private final Parameter inputNorm;
  private final SelfAttention attention;
  private final Parameter postNorm;
  private final FeedForward feedForward;
  private final double eps;

  DecoderLayer(
      Parameter inputNorm,
      SelfAttention attention,
      Parameter postNorm,
      FeedForward feedForward,
      double eps) {
    this.inputNorm = inputNorm;
    this.attention = attention;
    this.postNorm = postNorm;
    this.feedForward = feedForward;
    this.eps = eps;
  }

  /**
   * @return the hidden state [T, H], or [R, H] of the rows asked for; of a mixture the chosen
   *     experts and their weights for all T; and of one that learns to route also the logits,
   *     probabilities and chosen columns; last the logits of adapters' routers
   */
  List<Tensor> forward(Tape tape, Tensor x, Context context, Asked asked) {
    var routed = new ArrayList<Tensor>();
    SitePass given = asked.sites();
    var pass =
        new SitePass(
            given.watch(),
            (module, logits) -> {
              given.routed().accept(module, logits);
              routed.add(logits);
            },
            given.noise());
    var outs = new ArrayList<>(forward(tape, x, context, asked, pass));
    outs.addAll(routed);
    return outs;
  }

  private List<Tensor> forward(Tape tape, Tensor x, Context context, Asked asked, SitePass pass) {
    Tensor normed = RmsNorm.apply(tape, x, inputNorm, eps);
    Tensor h =
        Add.apply(
            tape,
            x,
            attention.forward(
                tape, normed, context.shape(), context.rotation(), context.lookup(), pass));
    return switch (feedForward) {
      case FeedForward.Dense(SwiGlu network) -> {
        Tensor read = read(tape, h, asked);
        Tensor inner = RmsNorm.apply(tape, read, postNorm, eps);
        asked.watch().see("mlp_in", inner.data());
        Tensor out = network.forward(tape, inner, pass);
        asked.watch().see("mlp_out", out.data());
        yield List.of(Add.apply(tape, read, out));
      }
      case FeedForward.Mixture(MoeLayer layer) -> {
        Tensor inner = RmsNorm.apply(tape, h, postNorm, eps);
        asked.watch().see("mlp_in", inner.data());
        var tokens = new Router.Tokens(inner, context.modalities(), asked.forced(), asked.noise());
        MoeLayer.Result result = layer.forward(tape, tokens, asked.rows());
        asked.watch().see("mlp_out", result.hidden().data());
        yield outputs(Add.apply(tape, read(tape, h, asked), result.hidden()), result.decision());
      }
    };
  }

  private static List<Tensor> outputs(Tensor hidden, Router.Decision decision) {
    Tensor chosen = Tensor.constant(decision.chosen());
    Tensor weights = Tensor.constant(decision.weights().data());
    Router.Scores scores = decision.scores();
    return scores == null
        ? List.of(hidden, chosen, weights)
        : List.of(
            hidden,
            chosen,
            weights,
            scores.logits(),
            scores.probabilities(),
            Tensor.constant(scores.columns()));
  }

  /** What each column of the router's logits is about; empty where the layer has no router. */
  List<Router.Window> windows() {
    return switch (feedForward) {
      case FeedForward.Dense _ -> List.of();
      case FeedForward.Mixture(MoeLayer layer) -> layer.windows();
    };
  }

  private static Tensor read(Tape tape, Tensor h, Asked asked) {
    return asked.rows() == null ? h : Rows.gather(tape, h, asked.rows());
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitor.accept(inputNorm);
    attention.visit(visitor);
    visitor.accept(postNorm);
    switch (feedForward) {
      case FeedForward.Dense(SwiGlu network) -> network.visit(visitor);
      case FeedForward.Mixture(MoeLayer layer) -> layer.visit(visitor);
    }
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    attention.visitWeights(visitor);
    switch (feedForward) {
      case FeedForward.Dense(SwiGlu network) -> network.visitWeights(visitor);
      case FeedForward.Mixture(MoeLayer layer) -> layer.visitWeights(visitor);
    }
  }

  @Override
  public void close() {
    attention.close();
    switch (feedForward) {
      case FeedForward.Dense(SwiGlu network) -> network.close();
      case FeedForward.Mixture(MoeLayer layer) -> layer.close();
    }
  }
}
