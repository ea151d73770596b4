package io.moextend.bench;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.model.CausalLoss;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.ModelInput;
import io.moextend.model.Watch;
import io.moextend.stage.Stage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.IntStream;

/**
 * A random model and one batch, trained on again and again: the work of scripts/bench/hf_peer.py
 * and hf_moiie_peer.py. The projector fills {@link StepModel#patches} slots of each row, the second
 * half of it is labelled.
 */
public final class StepBench implements AutoCloseable {
  /**
   * What is timed.
   *
   * @param checkpointing true to run each layer again in the backward pass
   */
  public record Work(
      StepModel model,
      Stage stage,
      StepSize size,
      DType dtype,
      boolean checkpointing,
      TokenRouting routing) {
    public Work {
      size.requireRoom(model.patches());
      if (model != StepModel.MIXTRAL && routing != TokenRouting.ROUTER) {
        throw new ConfigException(
            "--routing", routing, "is for --architecture mixtral; others go as they choose");
      }
    }
  }

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
    DecoderConfig config = work.model().config(size, stage);
    var fresh =
        new RepeatedNormals(
            new FreshParameters(
                backend, arena, dtype, stage.trained(), config.initializerRange(), 0),
            arena,
            dtype);
    this.model = new Decoder(fresh, config);
    fresh.done();
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
    float[] values = new float[patches() * StepSize.FEATURES];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    this.features = backend.floats(arena, dtype, values, patches(), StepSize.FEATURES);
  }

  /** Of the whole batch. */
  private int patches() {
    return size.batch() * work.model().patches();
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

  /** Multiplications and additions that a step cannot do without; none where not counted. */
  public OptionalDouble neededFlops() {
    return work.model() == StepModel.MIXTRAL && NeededFlops.counts(work.stage())
        ? OptionalDouble.of(NeededFlops.of(size, work.stage()).total())
        : OptionalDouble.empty();
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
    int each = work.model().patches();
    int[] rows = new int[patches()];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = i / each * size.sequence() + StepSize.FIRST_SLOT + i % each;
    }
    return backend.ints(step, rows, rows.length);
  }

  /**
   * Writes the weights as they are, and the batch as {@code batch.ids}, {@code batch.labels} and
   * {@code batch.features}, so that another program can do the same step.
   *
   * @param file in safetensors
   */
  public void write(Path file) {
    var tensors = new ArrayList<TensorStream>();
    try (Arena copies = backend.arena("copies")) {
      for (Parameter p : model.parameters()) {
        if (p.role() != Parameter.Role.VISION_TOWER) { // its features are in the batch
          tensors.add(floats(copies, p.name(), p.data()));
        }
      }
      tensors.add(floats(copies, "batch.features", features));
    }
    tensors.add(longs("batch.ids", ids));
    tensors.add(longs("batch.labels", labels));
    SafetensorsWriter.writeFile(file, tensors);
  }

  private TensorStream floats(Arena copies, String name, Array array) {
    float[] values = backend.toFloats(copies, array);
    return TensorStream.of(TensorData.of(name, array.dtype(), array.shape(), values));
  }

  private TensorStream longs(String name, int[] values) {
    long[] wide = Arrays.stream(values).asLongStream().toArray();
    long[] shape = {size.batch(), size.sequence()};
    return TensorStream.of(TensorData.of(name, shape, wide));
  }

  @Override
  public void close() {
    model.close();
    arena.close();
  }
}
