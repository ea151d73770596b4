package io.moextend.shard;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.comm.Collective;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.HostWire;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.data.Batch;
import io.moextend.model.CausalLoss;
import io.moextend.model.OpenModel;
import io.moextend.model.ParameterChoice;
import io.moextend.optim.AdamW;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import io.moextend.train.DecoderObjective;
import io.moextend.train.Losses;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** One rank that trains a real decoder, made as a command makes it. */
final class LayeredRank implements AutoCloseable {
  /**
   * What differs between two tests.
   *
   * @param zero WEIGHTS shares layers
   * @param frozen true to share the layers' frozen matrices too
   */
  record Plan(
      String backend,
      Path model,
      FreezePlan freeze,
      DType dtype,
      ZeroStage zero,
      boolean frozen,
      boolean checkpointing) {
    /** A stage without rules. */
    Plan(
        String backend,
        Path model,
        Stage stage,
        DType dtype,
        ZeroStage zero,
        boolean frozen,
        boolean checkpointing) {
      this(backend, model, FreezePlan.of(stage), dtype, zero, frozen, checkpointing);
    }

    Plan zero(ZeroStage other) {
      return new Plan(backend, model, freeze, dtype, other, frozen, checkpointing);
    }

    private ParameterChoice sharded() {
      if (zero != ZeroStage.WEIGHTS) {
        return ParameterChoice.NONE;
      }
      return frozen ? ParameterChoice.ALL : freeze;
    }
  }

  final Backend backend;
  final OpenModel model;
  final Conversation conversation;
  final @Nullable LayerShards layers;
  final ShardedOptimizer optimizer;
  final List<Parameter> trained;
  final DecoderObjective objective;
  private final Collective collective;

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  LayeredRank(Plan plan, Collective collective) {
    this.collective = collective;
    backend = Backends.open(plan.backend, new BackendProvider.Options(1, 0));
    DecoderConfig config = HuggingFaceConfig.read(plan.model).decoder();
    model =
        OpenModel.of(
            CheckpointFolder.open(plan.model),
            config,
            backend,
            plan.dtype,
            plan.freeze,
            7,
            plan.sharded());
    trained = plan.freeze.applyTo(model.decoder());
    List<List<Parameter>> units =
        model.decoder().units().stream()
            .map(u -> u.stream().filter(Parameter::requiresGrad).toList())
            .toList();
    ParameterLayout layout = ParameterLayout.of(units, collective.world(), 0);
    conversation = new Conversation(new HostWire(backend, collective));
    layers =
        plan.zero == ZeroStage.WEIGHTS
            ? new LayerShards(
                backend, conversation, model.decoder(), model.weights(), layout, plan.sharded())
            : null;
    optimizer =
        new ShardedOptimizer(
            backend,
            conversation,
            layout,
            new AdamW(0.9, 0.99, 1e-8, 0.1),
            ShardedOptimizer.Settings.of(plan.zero, Untouched.ZERO_GRADIENT, layout),
            layers == null ? WeightPieces.NONE : layers);
    objective =
        new DecoderObjective(
            backend, model.decoder(), CausalLoss.published(config), plan.checkpointing, null);
  }

  /** Losses of one step of some micro-batches. */
  double[] step(Batch... batches) {
    double[] losses = new double[batches.length];
    for (int i = 0; i < batches.length; i++) {
      Losses one =
          objective.backpropagate(
              optimizer.gradients(i == batches.length - 1),
              batches[i],
              1.0 / (batches.length * collective.world()));
      losses[i] = one.loss();
    }
    optimizer.step(1e-2, 1.0);
    return losses;
  }

  /** All weights that train, one after the other. */
  float[][] weights() {
    float[][] values = new float[trained.size()][];
    Runnable read =
        () -> {
          try (var scratch = backend.arena("values")) {
            for (int i = 0; i < values.length; i++) {
              values[i] = backend.toFloats(scratch, trained.get(i).data());
            }
          }
        };
    if (layers == null) {
      read.run();
    } else {
      layers.whole(read);
    }
    return values;
  }

  /**
   * @param images true for one image a row, of the tiny models' size
   */
  static Batch batch(long seed, int rows, int vocab, boolean images) {
    int length = 44;
    int slots = 36;
    var random = new Random(seed);
    int[] ids = random.ints((long) rows * length, 3, vocab).toArray();
    int[] labels = ids.clone();
    byte[] mask = new byte[ids.length];
    java.util.Arrays.fill(mask, (byte) 1);
    for (int i = 0; i < labels.length; i++) {
      if (i % length < slots + 2) {
        labels[i] = -100;
      }
    }
    int size = 24;
    float[] pixels = new float[images ? rows * 3 * size * size : 0];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = random.nextFloat() - 0.5f;
    }
    var shown = new java.util.ArrayList<Batch.Image>();
    for (int row = 0; images && row < rows; row++) {
      shown.add(new Batch.Image(row, 1, slots, Path.of("image"), "00"));
    }
    List<String> names =
        java.util.stream.IntStream.range(0, rows).mapToObj(r -> "row " + r).toList();
    return new Batch(
        rows, length, ids, labels, mask, pixels, size, shown, names, rows * (length - slots - 2));
  }

  @Override
  public void close() {
    optimizer.close();
    if (layers != null) {
      layers.close();
    }
    conversation.close();
    model.close();
    backend.close();
    collective.close();
  }
}
