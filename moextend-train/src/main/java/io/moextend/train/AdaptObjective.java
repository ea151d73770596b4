package io.moextend.train;

import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.RouterLoss;
import io.moextend.adapter.RouterLoss.Said;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.data.prompted.PromptedBatch;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.T5Loss;
import io.moextend.model.Watch;
import io.moextend.nn.SitePass;
import io.moextend.op.Add;
import io.moextend.op.Dropout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A T5, its adapters and their loss over prompted examples. What the sum of tokens' losses is
 * divided by is counted over all ranks, so that every example counts the same wherever it lies;
 * micro-batches of a step are averaged.
 */
public final class AdaptObjective implements Objective<PromptedBatch> {
  /**
   * How a pass is made in training.
   *
   * @param checkpointing true to run each layer again in the backward pass
   * @param dropout share of activations that are left out
   * @param seed of dropout and of routers' noise
   * @param microBatches of a step, on each rank
   * @param world ranks
   */
  public record Settings(
      boolean checkpointing, double dropout, long seed, int microBatches, int world) {}

  /** What is drawn in a pass; null outside of training. */
  private record Trial(@Nullable Dropout dropout, @Nullable Long noise, boolean checkpointing) {}

  /** What a batch's loss is made of. */
  private record Terms(Tensor total, T5Loss.Terms targets, @Nullable Tensor routers) {}

  private final Backend backend;
  private final T5 model;
  private final T5Loss loss;
  private final @Nullable AdapterConfig adapters;
  private final Settings settings;

  /**
   * @param adapters null where the model itself trains
   */
  public AdaptObjective(
      Backend backend, T5 model, T5Loss loss, @Nullable AdapterConfig adapters, Settings settings) {
    this.backend = backend;
    this.model = model;
    this.loss = loss;
    this.adapters = adapters;
    this.settings = settings;
  }

  @Override
  public Losses backpropagate(GradientSink gradients, PromptedBatch batch, double scale) {
    try (Arena arena = backend.arena("micro-batch")) {
      Tape tape = Tape.recording(backend, arena, gradients);
      long seed = seed(batch);
      Dropout dropout = settings.dropout() == 0 ? null : new Dropout(settings.dropout(), seed);
      Terms terms =
          forward(
              tape, arena, batch, new Trial(dropout, seed, settings.checkpointing()), ofAll(batch));
      Losses losses = losses(batch, terms);
      if (terms.total().requiresGrad()) {
        Array d = arena.allocate(terms.total().data().dtype(), 1);
        backend.fillInto(d, scale);
        tape.backward(terms.total(), d);
      }
      return losses;
    }
  }

  @Override
  public Losses evaluate(PromptedBatch batch) {
    try (Arena arena = backend.arena("evaluation")) {
      var trial = new Trial(null, null, false);
      return losses(batch, forward(Tape.off(backend, arena), arena, batch, trial, whole(batch, 1)));
    }
  }

  /** Of the batch and the run, so that a run that is taken up again draws the same. */
  private long seed(PromptedBatch batch) {
    return 31 * (31 * settings.seed() + Arrays.hashCode(batch.inputs()))
        + Arrays.hashCode(batch.targets());
  }

  private Terms forward(
      Tape tape, Arena arena, PromptedBatch batch, Trial trial, double denominator) {
    T5Batch rows = rows(batch, model.config().tokens().start());
    var said = new ArrayList<Said>();
    var sites =
        new SitePass(
            SitePass.NOBODY,
            (module, logits) -> said.add(said(module, logits, batch)),
            trial.noise());
    T5.Output output =
        model.forward(
            tape, rows, new T5.Pass(trial.checkpointing(), trial.dropout(), Watch.NONE, sites));
    T5Loss.Targets targets =
        loss.targets(backend, arena, rows, model.config().tokens().pad(), model.dtype().wide());
    T5Loss.Terms terms = loss.of(tape, model, output.decoder(), targets, denominator);
    Tensor routers = adapters == null ? null : RouterLoss.of(tape, adapters, said);
    Tensor total = routers == null ? terms.total() : Add.apply(tape, terms.total(), routers);
    return new Terms(total, terms, routers);
  }

  private static T5Batch rows(PromptedBatch batch, int start) {
    int @Nullable [] inputSegments = batch.inputSegments();
    int @Nullable [] targetSegments = batch.targetSegments();
    return inputSegments == null || targetSegments == null
        ? T5Batch.plain(batch.rows(), batch.inputs(), batch.targets(), start)
        : T5Batch.packed(
            batch.rows(), batch.inputs(), batch.targets(), inputSegments, targetSegments, start);
  }

  /** Ranks' losses are averaged; so each divides by its part of what all have. */
  private double ofAll(PromptedBatch batch) {
    return whole(batch, settings.microBatches()) / settings.world();
  }

  /**
   * @param sums that are averaged where they were to be added up
   */
  private double whole(PromptedBatch batch, int sums) {
    PromptedBatch.Together all = batch.together();
    return switch (loss.normalizer()) {
      case NONE -> 1.0 / sums;
      case REAL_TOKENS -> all.realTargets();
      case TOTAL_TOKENS -> all.targets();
      case AVERAGE_PER_SEQUENCE -> all.examples();
    };
  }

  /** Padding is routed too, and counts for nothing. */
  private static Said said(String module, Tensor logits, PromptedBatch batch) {
    boolean ofInputs =
        module.startsWith("encoder.")
            || module.endsWith(".EncDecAttention.k")
            || module.endsWith(".EncDecAttention.v");
    int[] ids = ofInputs ? batch.inputs() : batch.targets();
    int[] real = IntStream.range(0, ids.length).filter(i -> ids[i] != 0).toArray();
    return new Said(module, logits, ids.length, real);
  }

  private Losses losses(PromptedBatch batch, Terms terms) {
    double z = backend.toDouble(terms.targets().zLoss());
    double aux = terms.routers() == null ? 0 : backend.toDouble(terms.routers().data());
    double total = backend.toDouble(terms.total().data());
    return new Losses(
        total,
        total - z - aux,
        aux,
        batch.realTokens(),
        batch.examples().size(),
        terms.total().requiresGrad());
  }
}
