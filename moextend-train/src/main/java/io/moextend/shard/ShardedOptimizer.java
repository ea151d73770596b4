package io.moextend.shard;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.config.ConfigException;
import io.moextend.optim.UpdateRule;
import io.moextend.shard.Holding.Part;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Slice;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.util.BitSet;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The optimizer of one of several ranks: gradients are summed over all, and each rank keeps and
 * updates what its {@link ZeroStage} leaves it. Weights are the same bits on every rank.
 *
 * <p>Gradients are summed, not averaged: who makes them scales the loss by 1 / (micro-batches ·
 * world). A micro-batch without any gradient is none the less exchanged: what is exchanged follows
 * from the layout alone.
 *
 * @see <a href="https://arxiv.org/abs/1910.02054">ZeRO</a>
 */
public final class ShardedOptimizer implements Optimizer {
  /**
   * The same on every rank.
   *
   * @param gradientPayload type that gradients travel in: the layout's wide type, or BF16 for half
   *     the bytes; sums are wide either way
   */
  public record Settings(
      ZeroStage stage, Untouched untouched, DType gradientPayload, RoleRates rates) {
    /** Gradients travel as they are, all learn alike. */
    public static Settings of(ZeroStage stage, Untouched untouched, ParameterLayout layout) {
      return new Settings(stage, untouched, layout.wide(), RoleRates.ALIKE);
    }
  }

  private final Backend backend;
  private final Conversation conversation;
  private final ParameterLayout layout;
  private final Settings settings;
  private final Arena arena;
  private final Holding share;
  private final Holding held;
  private final GradientExchange gradients;
  private final @Nullable WeightGathering gathering;
  private final Array masters;
  private final RuleState state;
  private final HeldUpdates updates;
  private final long[] steps;

  /**
   * Takes its masters from the parameters as they are now, which are the same on every rank. A
   * collective call.
   *
   * @param conversation not owned; closed after this
   * @param layout made for as many shards as there are ranks
   * @throws ConfigException where the rule cannot update a part of a parameter by itself
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena is closed with this
  public ShardedOptimizer(
      Backend backend,
      Conversation conversation,
      ParameterLayout layout,
      UpdateRule rule,
      Settings settings) {
    this(backend, conversation, layout, rule, settings, WeightPieces.NONE);
  }

  /** As above; new weights of a bucket that no rank has whole go into its pieces alone. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena is closed with this
  public ShardedOptimizer(
      Backend backend,
      Conversation conversation,
      ParameterLayout layout,
      UpdateRule rule,
      Settings settings,
      WeightPieces pieces) {
    require(conversation, layout, rule, settings);
    this.backend = backend;
    this.conversation = conversation;
    this.layout = layout;
    this.settings = settings;
    this.steps = new long[layout.slices().size()];
    this.arena = backend.arena("optimizer");
    boolean shares = settings.stage().sharesState();
    this.share = Holding.piece(layout, conversation.rank());
    this.held = shares ? share : Holding.whole(layout);
    this.gradients = exchange();
    this.gathering =
        shares ? new WeightGathering(backend, conversation, layout, held, pieces) : null;
    this.masters = zeros();
    this.state = new RuleState(backend, arena, layout, held, rule);
    this.updates =
        new HeldUpdates(
            backend, layout, rule, settings.rates(), held, masters, state, gradients, steps);
    layout.buckets().forEach(bucket -> takeMasters(bucket, pieces.of(bucket)));
  }

  private void takeMasters(Bucket bucket, @Nullable Array piece) {
    if (piece != null) {
      backend.copyInto(held.of(masters, bucket), piece);
      return;
    }
    for (Part part : held.parts(bucket)) {
      backend.copyInto(held.of(masters, part, layout), weights(part));
    }
  }

  private static void require(
      Conversation conversation, ParameterLayout layout, UpdateRule rule, Settings settings) {
    if (layout.shards() != conversation.world()) {
      throw new IllegalArgumentException(
          "a layout of %d shards for %d ranks".formatted(layout.shards(), conversation.world()));
    }
    DType payload = settings.gradientPayload();
    if (payload != layout.wide() && (payload != DType.BF16 || layout.wide() != DType.F32)) {
      throw new ConfigException(
          "gradient payload", payload, "gradients are " + layout.wide() + "; BF16 needs F32");
    }
    for (Slice slice : layout.slices()) {
      if (settings.stage().sharesState() && !rule.divides(slice.parameter())) {
        throw new ConfigException(
            "distributed.zero_stage",
            settings.stage().number(),
            slice.parameter()
                + " has its state by rows and columns, so no rank can update a part of it; write"
                + " zero_stage: 0, or optimizer.adafactor.min_dim_size_to_factor: null");
      }
    }
  }

  private GradientExchange exchange() {
    DType payload = settings.gradientPayload();
    return settings.stage().sharesGradients()
        ? new PassingGradients(backend, conversation, arena, layout, held, payload)
        : new WholeGradients(
            backend, conversation, arena, layout, payload, !settings.stage().sharesState());
  }

  private Array zeros() {
    Array buffer = arena.allocate(layout.wide(), held.length());
    backend.fillInto(buffer, 0);
    return buffer;
  }

  private static Array weights(Part part) {
    Array data = part.slice().parameter().data();
    return data.reshape(data.size()).slice(part.offset(), part.offset() + part.to() - part.from());
  }

  @Override
  public GradientSink gradients(boolean last) {
    gradients.begin(last);
    conversation.owe(gradients::rest);
    return gradients;
  }

  @Override
  public Update step(double learningRate, double maxNorm) {
    gradients.finish();
    Verdict verdict = Verdict.among(conversation, sumOfSquares(), touched(), steps.length);
    double scale = Optimizer.clipScale(verdict.norm(), maxNorm);
    int updated = 0;
    if (Double.isFinite(verdict.norm())) {
      for (Slice slice : layout.slices()) {
        if (verdict.updates(slice)) {
          steps[slice.index()]++;
          updated++;
        }
      }
      update(new HeldUpdates.Pace(verdict, learningRate, scale));
    }
    gradients.clear();
    return new Update(verdict.norm(), scale, updated);
  }

  private BitSet touched() {
    return switch (settings.untouched()) {
      case SKIP -> gradients.touched();
      case ZERO_GRADIENT -> {
        var all = new BitSet();
        all.set(0, steps.length);
        yield all;
      }
    };
  }

  private double sumOfSquares() {
    double sum = 0;
    try (Arena scratch = backend.arena("gradient norm")) {
      for (Bucket bucket : layout.buckets()) {
        Array piece = gradients.sum(bucket, share.range(bucket));
        sum += backend.toDouble(backend.sumOfSquares(scratch, piece));
      }
    }
    return sum;
  }

  /** Where ranks have parts of parameters and the rule has to know the whole, all ranks talk. */
  private void update(HeldUpdates.Pace pace) {
    try (Arena scratch = backend.arena("update")) {
      ParameterSums sums = updates.measure(scratch, pace);
      if (sums != null && settings.stage().sharesState()) {
        sums.reduce(conversation);
      }
      publish(bucket -> updates.update(bucket, pace, sums), pace.verdict()::updates);
    }
  }

  private void publish(Consumer<Bucket> update, Predicate<Slice> changed) {
    if (gathering != null) {
      gathering.run(masters, update, changed);
      return;
    }
    for (Bucket bucket : layout.buckets()) {
      update.accept(bucket);
      for (Part part : held.parts(bucket)) {
        if (changed.test(part.slice())) {
          backend.copyInto(weights(part), held.of(masters, part, layout));
          part.slice().parameter().updated();
        }
      }
    }
  }

  @Override
  public void discard() {
    gradients.finish();
    gradients.clear();
  }

  /** Each rank writes its share, whatever the stage, and rank 0 how often each was updated. */
  @Override
  public void save(StateWriter to) {
    if (conversation.rank() == 0) {
      to.numbers("step", steps.clone());
    }
    pieces(share, to::piece);
  }

  @Override
  public void load(StateReader from) {
    System.arraycopy(from.numbers("step", steps.length), 0, steps, 0, steps.length);
    pieces(held, from::piece);
    publish(bucket -> {}, slice -> true);
    gradients.clear();
  }

  private void pieces(Holding of, RuleState.Place at) {
    for (Bucket bucket : layout.buckets()) {
      for (Part part : of.parts(bucket)) {
        at.piece(
            "master." + part.slice().parameter().name(),
            part.total(),
            part.offset(),
            held.of(masters, part, layout));
        state.pieces(part, at);
      }
    }
  }

  /** Waits for what is under way first. */
  @Override
  public void close() {
    conversation.owe(() -> {});
    conversation.quiet();
    gradients.close();
    if (gathering != null) {
      gathering.close();
    }
    arena.close();
  }
}
