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
import io.moextend.data.Batch;
import io.moextend.data.FeatureCache;
import io.moextend.model.CausalLoss;
import io.moextend.model.Decoder;
import io.moextend.model.LayerResidency;
import io.moextend.model.ModelInput;
import io.moextend.model.Watch;
import io.moextend.op.Add;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A decoder and its loss over batches of samples. Each micro-batch has an arena of its own. */
public final class DecoderObjective implements Objective<Batch> {
  private final Backend backend;
  private final Decoder model;
  private final CausalLoss loss;
  private final boolean checkpointing;
  private final BatchImages images;
  private final @Nullable AdapterConfig adapters;

  /**
   * @param checkpointing true to run each layer again in the backward pass
   * @param cache of image features, null = the tower runs every time
   */
  public DecoderObjective(
      Backend backend,
      Decoder model,
      CausalLoss loss,
      boolean checkpointing,
      @Nullable FeatureCache cache) {
    this(backend, model, loss, checkpointing, cache, null);
  }

  /**
   * As above, with the losses that adapters' routers may have.
   *
   * @param adapters those of the model; null = none
   */
  public DecoderObjective(
      Backend backend,
      Decoder model,
      CausalLoss loss,
      boolean checkpointing,
      @Nullable FeatureCache cache,
      @Nullable AdapterConfig adapters) {
    this.adapters = adapters;
    this.backend = backend;
    this.model = model;
    this.loss = loss;
    this.checkpointing = checkpointing;
    this.images = new BatchImages(backend, model, cache);
  }

  @Override
  public Losses backpropagate(GradientSink gradients, Batch batch, double scale) {
    try (Arena arena = backend.arena("micro-batch")) {
      LayerResidency residency = model.residency();
      Tape tape = Tape.recording(backend, arena, residency.training(gradients));
      BatchOnDevice on = BatchOnDevice.of(backend, arena, batch, images.of(arena, batch));
      CausalLoss.Terms terms = forward(tape, on, on.input().with(noise(batch)));
      Tensor total = terms.total();
      Losses losses = losses(batch, on, terms);
      if (total.requiresGrad()) {
        Array d = arena.allocate(total.data().dtype(), 1);
        backend.fillInto(d, scale);
        tape.backward(total, d);
      }
      residency.finish();
      return losses;
    }
  }

  @Override
  public Losses evaluate(Batch batch) {
    try (Arena arena = backend.arena("evaluation")) {
      BatchOnDevice on = BatchOnDevice.of(backend, arena, batch, images.of(arena, batch));
      Losses losses = losses(batch, on, forward(Tape.off(backend, arena), on, on.input()));
      model.residency().finish();
      return losses;
    }
  }

  /** Of the batch alone, so that a run that is taken up again draws the same. */
  private static long noise(Batch batch) {
    return Arrays.hashCode(batch.ids());
  }

  private CausalLoss.Terms forward(Tape tape, BatchOnDevice on, ModelInput input) {
    Decoder.Output output =
        model.forward(tape, input, on.labels().rows(), checkpointing, Watch.NONE);
    CausalLoss.Terms terms = loss.of(tape, model, output, on.labels(), on.counted());
    Tensor routers = adapters == null ? null : RouterLoss.of(tape, adapters, said(output));
    return routers == null
        ? terms
        : new CausalLoss.Terms(
            Add.apply(tape, terms.total(), routers), terms.languageModel(), terms.balances());
  }

  /** Every row that was routed counts, padding too. */
  private static List<Said> said(Decoder.Output output) {
    var said = new ArrayList<Said>();
    output.routed().forEach((module, logits) -> said.add(Said.all(module, logits)));
    return said;
  }

  private Losses losses(Batch batch, BatchOnDevice on, CausalLoss.Terms terms) {
    double balance = 0;
    for (Tensor one : terms.balances().values()) {
      balance += backend.toDouble(one.data());
    }
    return new Losses(
        backend.toDouble(terms.total().data()),
        backend.toDouble(terms.languageModel().data()),
        balance,
        on.tokens(),
        batch.rows(),
        terms.total().requiresGrad());
  }
}
