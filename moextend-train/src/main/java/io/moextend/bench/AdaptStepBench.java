package io.moextend.bench;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.Adapters;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.model.FreshParameters;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.T5Loss;
import io.moextend.model.T5Start;
import io.moextend.model.Watch;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.jspecify.annotations.Nullable;

/**
 * A random T5 with adapters and one batch without padding, trained on again and again: the work of
 * scripts/bench/hf_t5_peer.py. The loss is the mean over targets, without z-loss and dropout.
 */
public final class AdaptStepBench implements AutoCloseable {
  private static final T5Loss LOSS = new T5Loss(T5Loss.Normalizer.REAL_TOKENS, 0, 0);

  /**
   * What is timed.
   *
   * @param adapters null where all weights train
   * @param checkpointing true to run each layer again in the backward pass
   */
  public record Work(
      AdaptStepSize size, @Nullable AdapterConfig adapters, DType dtype, boolean checkpointing) {}

  private final Backend backend;
  private final Work work;
  private final Arena arena;
  private final @Nullable Adapters adapters;
  private final T5 model;
  private final T5Batch batch;

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  public AdaptStepBench(Backend backend, Work work) {
    this.backend = backend;
    this.work = work;
    this.arena = backend.arena("weights");
    AdaptStepSize size = work.size;
    ParameterChoice trained =
        work.adapters == null ? ParameterChoice.ALL : ParameterChoice.of(Set.of(Role.ADAPTER));
    var from =
        new FreshParameters(backend, arena, work.dtype, trained, new T5Start(size.config()), 0);
    this.adapters = work.adapters == null ? null : new Adapters(from, work.adapters);
    this.model = new T5(from, size.config(), adapters == null ? Sites.NONE : adapters);
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(0);
    this.batch =
        T5Batch.plain(
            size.rows(),
            tokens(random, size.rows() * size.inputs()),
            tokens(random, size.rows() * size.targets()),
            size.config().tokens().start());
  }

  private int[] tokens(RandomGenerator random, int count) {
    return random.ints(count, AdaptStepSize.FIRST_TOKEN, work.size.vocab()).toArray();
  }

  public T5 model() {
    return model;
  }

  /** In the model's order. */
  public List<Parameter> trained() {
    return model.parameters().stream().filter(Parameter::requiresGrad).toList();
  }

  /**
   * Forward and backward.
   *
   * @return the loss
   */
  public double backpropagate(GradientSink gradients) {
    try (Arena step = backend.arena("micro-batch")) {
      Tape tape = Tape.recording(backend, step, model.residency().training(gradients));
      var pass = new T5.Pass(work.checkpointing, null, Watch.NONE, SitePass.QUIET);
      T5.Output output = model.forward(tape, batch, pass);
      int pad = model.config().tokens().pad();
      T5Loss.Targets targets = LOSS.targets(backend, step, batch, pad, work.dtype.wide());
      T5Loss.Terms terms = LOSS.of(tape, model, output.decoder(), targets, targets.denominator());
      Array d = step.allocate(terms.total().data().dtype(), 1);
      backend.fillInto(d, 1);
      double value = backend.toDouble(terms.total().data());
      tape.backward(terms.total(), d);
      model.residency().finish();
      return value;
    }
  }

  /**
   * Writes the weights as they are under their published names, adapters as {@link AdapterFolder}
   * has them, and the batch as {@code batch.input_ids} and {@code batch.labels}, so that another
   * program can do the same step.
   *
   * @param file in safetensors
   */
  public void write(Path file) {
    var tensors = new ArrayList<TensorStream>();
    try (Arena copies = backend.arena("copies")) {
      for (Parameter p : model.parameters()) {
        float[] values = backend.toFloats(copies, p.data());
        TensorData data = TensorData.of(p.name(), p.dtype(), p.shape(), values);
        tensors.add(TensorStream.of(AdapterFolder.inFile(data)));
      }
    }
    tensors.add(ids("batch.input_ids", batch.inputs()));
    tensors.add(ids("batch.labels", batch.targets()));
    SafetensorsWriter.writeFile(file, tensors);
  }

  private TensorStream ids(String name, int[] values) {
    long[] wide = Arrays.stream(values).asLongStream().toArray();
    long[] shape = {batch.rows(), values.length / batch.rows()};
    return TensorStream.of(TensorData.of(name, shape, wide));
  }

  @Override
  public void close() {
    model.close();
    if (adapters != null) {
      adapters.close();
    }
    arena.close();
  }
}
