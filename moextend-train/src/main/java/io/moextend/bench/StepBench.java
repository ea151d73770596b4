package io.moextend.bench;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.model.CausalLoss;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.ModelInput;
import io.moextend.model.Watch;
import io.moextend.stage.Stage;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.IntStream;

/**
 * A random model and one batch, trained on again and again: the work of scripts/bench/hf_peer.py.
 * The projector fills {@link StepSize#PATCHES} slots of each row, the second half of it is
 * labelled.
 */
public final class StepBench implements AutoCloseable {
  /**
   * What is timed.
   *
   * @param checkpointing true to run each layer again in the backward pass
   */
  public record Work(
      Stage stage, StepSize size, DType dtype, boolean checkpointing, TokenRouting routing) {}

  private final Backend backend;
  private final Work work;
  private final StepSize size;
  private final Arena arena;
  private final Decoder model;
  private final List<Parameter> trained;
  private final CausalLoss loss;
  private final int[] ids;
  private final int[] labels;
  private final Array features;

  /**
   * @param rank chooses the batch; the model is the same on each
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  public StepBench(Backend backend, Work work, int rank) {
    this.backend = backend;
    this.work = work;
    this.size = work.size();
    this.arena = backend.arena("weights");
    Stage stage = work.stage();
    DType dtype = work.dtype();
    DecoderConfig config = size.config(stage);
    this.model =
        new Decoder(
            new FreshParameters(
                backend, arena, dtype, stage.trained(), config.initializerRange(), 0),
            config);
    this.trained = stage.freezeAllBut(model);
    this.loss = CausalLoss.published(config);
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(rank);
    this.ids = random.ints(size.tokens(), 0, size.vocab()).toArray();
    this.labels = ids.clone();
    for (int i = 0; i < labels.length; i++) {
      if (i % size.sequence() < size.sequence() / 2) {
        labels[i] = -100;
      }
    }
    float[] values = new float[size.batch() * StepSize.PATCHES * StepSize.FEATURES];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    this.features =
        backend.floats(
            arena, dtype, values, (long) size.batch() * StepSize.PATCHES, StepSize.FEATURES);
  }

  public Decoder model() {
    return model;
  }

  /** Owns the weights. */
  public Arena weights() {
    return arena;
  }

  /** In the model's order. */
  public List<Parameter> trained() {
    return trained;
  }

  /**
   * Forward and backward.
   *
   * @param scale of the loss's gradient
   * @return the loss
   */
  public double backpropagate(GradientSink gradients, double scale) {
    try (Arena step = backend.arena("micro-batch")) {
      Tape tape = Tape.recording(backend, step, model.residency().training(gradients));
      byte[] ones = new byte[size.tokens()];
      Arrays.fill(ones, (byte) 1);
      Array mask = backend.bytes(step, ones, size.batch(), size.sequence());
      var input =
          new ModelInput(
              size.batch(),
              size.sequence(),
              backend.ints(step, ids, ids.length),
              mask,
              new ModelInput.Images.Features(features, slots(step)),
              choices(step));
      CausalLoss.Labels labelled = CausalLoss.Labels.of(backend, step, labels, size.sequence());
      Decoder.Output output =
          model.forward(tape, input, labelled.rows(), work.checkpointing(), Watch.NONE);
      CausalLoss.Terms terms = loss.of(tape, model, output, labelled, mask.reshape(size.tokens()));
      Array d = step.allocate(terms.total().data().dtype(), 1);
      backend.fillInto(d, scale);
      double value = backend.toDouble(terms.total().data());
      tape.backward(terms.total(), d);
      model.residency().finish();
      return value;
    }
  }

  /** Of each layer's tokens; none where the routers choose. */
  private List<Array> choices(Arena step) {
    if (work.routing() == TokenRouting.ROUTER) {
      return List.of();
    }
    var experts = (FeedForwardConfig.Experts) model.config().feedForward();
    return IntStream.range(0, size.layers())
        .mapToObj(
            layer -> {
              int k = experts.topK();
              int[] chosen = work.routing().choices(size.tokens(), k, experts.countIn(layer));
              return backend.ints(step, chosen, size.tokens(), k);
            })
        .toList();
  }

  private Array slots(Arena step) {
    int[] rows = new int[size.batch() * StepSize.PATCHES];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = i / StepSize.PATCHES * size.sequence() + StepSize.FIRST_SLOT + i % StepSize.PATCHES;
    }
    return backend.ints(step, rows, rows.length);
  }

  @Override
  public void close() {
    model.close();
    arena.close();
  }
}
