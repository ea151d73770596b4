package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.config.ConfigException;
import io.moextend.model.Decoder;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.optim.UpdateRule;
import io.moextend.shard.LayerShards;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.shard.RoleRates;
import io.moextend.shard.ShardedOptimizer;
import io.moextend.shard.WeightPieces;
import io.moextend.shard.ZeroStage;
import io.moextend.train.DistributedSection;
import io.moextend.train.OptimizerSection;
import io.moextend.train.WholeWeights;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The optimizer that a configuration asks for on this many ranks, and at ZeRO stage 3 the layers
 * whose weights come and go.
 *
 * @param layers null where every rank has all weights
 */
record RankOptimizer(Optimizer optimizer, @Nullable LayerShards layers) implements AutoCloseable {
  /** How new weights are made of gradients, the same on every rank. */
  record Update(UpdateRule rule, Untouched untouched, RoleRates rates) {
    static Update of(OptimizerSection section, List<Parameter> trained) {
      return new Update(section.rule(), section.untouched().policy(), section.rates(trained));
    }
  }

  /** What of the decoder's layers is cut into pieces, as far as it is a matrix. */
  static ParameterChoice sharded(ParameterChoice trained, DistributedSection how, int world) {
    if (world == 1 || how.zeroStage() < 3) {
      return ParameterChoice.NONE;
    }
    return how.shardsFrozen() ? ParameterChoice.ALL : trained;
  }

  /**
   * How what trains of a model lies in the optimizer's buffers. Where weights come and go, each
   * layer is a bucket of its own.
   */
  static ParameterLayout layout(Decoder model, DistributedSection how, int world) {
    return layout(model.units(), how, world);
  }

  private static ParameterLayout layout(
      List<List<Parameter>> all, DistributedSection how, int world) {
    List<List<Parameter>> units = ParameterLayout.trained(all);
    long bucketBytes =
        world == 1
            ? Long.MAX_VALUE
            : ZeroStage.of(how.zeroStage()) == ZeroStage.WEIGHTS ? 0 : how.bucketBytes();
    return ParameterLayout.of(units, world, bucketBytes);
  }

  /**
   * A collective call. The caller closes the model and the conversation after this.
   *
   * @param model opened with what {@link #sharded} says; what trains is settled
   * @param weights owns the model's
   * @param sharded as in {@link #sharded}, less what was not loaded
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // both are closed with this
  static RankOptimizer of(
      Backend backend,
      Conversation conversation,
      Decoder model,
      Arena weights,
      Update update,
      ParameterChoice sharded,
      DistributedSection how) {
    ParameterLayout layout = layout(model, how, conversation.world());
    boolean comeAndGo =
        conversation.world() > 1 && ZeroStage.of(how.zeroStage()) == ZeroStage.WEIGHTS;
    LayerShards layers =
        comeAndGo ? new LayerShards(backend, conversation, model, weights, layout, sharded) : null;
    return of(backend, conversation, layout, update, how, layers);
  }

  /**
   * As above, of an encoder-decoder, whose layers are whole on every rank.
   *
   * @throws ConfigException at stage 3
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  static RankOptimizer of(
      Backend backend, Conversation conversation, T5 model, Update update, DistributedSection how) {
    if (ZeroStage.of(how.zeroStage()) == ZeroStage.WEIGHTS && conversation.world() > 1) {
      throw new ConfigException(
          "distributed.zero_stage", 3, "an encoder-decoder's layers stay whole; use 0, 1 or 2");
    }
    ParameterLayout layout = layout(model.units(), how, conversation.world());
    return of(backend, conversation, layout, update, how, null);
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // both are closed with this
  private static RankOptimizer of(
      Backend backend,
      Conversation conversation,
      ParameterLayout layout,
      Update update,
      DistributedSection how,
      @Nullable LayerShards layers) {
    if (conversation.world() == 1) {
      return new RankOptimizer(
          new ReplicatedOptimizer(
              backend, layout, update.rule(), update.untouched(), update.rates()),
          null);
    }
    var settings =
        new ShardedOptimizer.Settings(
            ZeroStage.of(how.zeroStage()),
            update.untouched(),
            payload(how, layout),
            update.rates());
    return new RankOptimizer(
        new ShardedOptimizer(
            backend,
            conversation,
            layout,
            update.rule(),
            settings,
            layers == null ? WeightPieces.NONE : layers),
        layers);
  }

  private static DType payload(DistributedSection how, ParameterLayout layout) {
    return switch (how.gradientDtype()) {
      case F32 -> layout.wide();
      case BF16 -> DType.BF16;
    };
  }

  /** For who saves: on every rank, as it may be a collective call. */
  WholeWeights whole() {
    return layers == null ? WholeWeights.ALWAYS : layers::whole;
  }

  @Override
  public void close() {
    optimizer.close();
    if (layers != null) {
      layers.close();
    }
  }
}
