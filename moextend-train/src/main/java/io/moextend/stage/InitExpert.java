package io.moextend.stage;

import io.moextend.array.DType;
import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.moe.Calibration;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;

/**
 * Grows a model by one expert in each planned layer: the expert and its gate row are copies of the
 * donor's, the calibration's first matrix is random and its second zero, so that it starts as no
 * change. All old tensors are carried over byte for byte.
 *
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, section 3.3; the published
 *     init_expert.py
 */
public final class InitExpert {
  private static final List<String> EXPERT_MATRICES = List.of("w1", "w2", "w3");

  private final WeightSource source;
  private final HuggingFaceConfig config;
  private final ExtensionPlan plan;
  private final long seed;

  /**
   * @param source the model after the extension stage, whole
   * @param seed of the calibrations' first matrices
   * @throws ConfigException where the plan is not for this model, or the model is extended already
   */
  public InitExpert(WeightSource source, HuggingFaceConfig config, ExtensionPlan plan, long seed) {
    this.source = source;
    this.config = config;
    this.plan = plan;
    this.seed = seed;
    FeedForwardConfig.Experts experts = experts();
    if (!experts.extendedLayers().isEmpty()) {
      throw new ConfigException(
          "add_layer",
          experts.extendedLayers(),
          "the model has added experts already; start from the one before them");
    }
    if (plan.layers() != config.decoder().layers() || plan.experts() != experts.count()) {
      throw new ConfigException(
          "the plan is for %d layers of %d experts, the model has %d of %d; make the plan from this model"
              .formatted(
                  plan.layers(), plan.experts(), config.decoder().layers(), experts.count()));
    }
  }

  private FeedForwardConfig.Experts experts() {
    return switch (config.decoder().feedForward()) {
      case FeedForwardConfig.Experts e -> e;
      case FeedForwardConfig.Dense d ->
          throw new ConfigException(
              "model_type",
              config.decoder().modelType(),
              "a mixture of experts is wanted; a dense model has none to extend");
      case FeedForwardConfig.Mixed m ->
          throw new ConfigException(
              "model_type",
              config.decoder().modelType(),
              "a mixture with experts in every layer is wanted; this one has some in layers "
                  + m.layers());
    };
  }

  /** config.json of the grown model: {@code add_layer}, and {@code num_local_experts} one more. */
  public HuggingFaceConfig extendedConfig() {
    FeedForwardConfig.Experts experts = experts();
    var grown =
        new FeedForwardConfig.Experts(
            experts.width(),
            experts.count(),
            experts.topK(),
            new TreeSet<>(plan.addLayer()),
            experts.balanceCoefficient());
    return config.with(config.decoder().with(grown));
  }

  /** The tensors that the grown model has and the old one had not, in the old one's type. */
  public List<TensorData> added() {
    int next = experts().count();
    var added = new ArrayList<TensorData>();
    for (ExtensionPlan.Extended e : plan.extended()) {
      String moe = "model.layers." + e.layer() + ".block_sparse_moe";
      for (String matrix : EXPERT_MATRICES) {
        TensorData donor =
            source.tensor("%s.experts.%d.%s.weight".formatted(moe, e.donor(), matrix));
        added.add(donor.named("%s.experts.%d.%s.weight".formatted(moe, next, matrix)));
      }
      added.add(gateRow(moe, e.donor()));
      added.addAll(calibration(moe, next + 1));
    }
    return added;
  }

  private TensorData gateRow(String moe, int donor) {
    TensorData gate = source.tensor(moe + ".gate.weight");
    if (gate.shape().length != 2 || gate.shape()[0] != plan.experts()) {
      throw CheckpointException.ofTensor(
          source.origin(), gate.name(), "is no gate over " + plan.experts() + " experts");
    }
    return gate.rows(donor, donor + 1).named(moe + ".gate_vision.weight");
  }

  private List<TensorData> calibration(String moe, int experts) {
    DType dtype = source.tensor(moe + ".gate.weight").dtype();
    String name = moe + ".weight_scale.weight_scale.";
    var random = new Random(seed * 31 + moe.hashCode());
    float[] first = new float[Calibration.WIDTH * experts];
    for (int i = 0; i < first.length; i++) {
      first[i] = (float) (random.nextGaussian() * config.decoder().initializerRange());
    }
    return List.of(
        TensorData.of(name + "0.weight", dtype, new long[] {Calibration.WIDTH, experts}, first),
        TensorData.of(
            name + "2.weight",
            dtype,
            new long[] {experts, Calibration.WIDTH},
            new float[Calibration.WIDTH * experts]));
  }

  /**
   * Writes the grown model as a Hugging Face folder that appears under its name only when whole.
   *
   * @param beside the old model's folder, whose tokenizer and preprocessor files go along
   */
  public void write(Path beside, Path output) {
    var tensors = new ArrayList<>(TensorStream.all(source));
    added().forEach(t -> tensors.add(TensorStream.of(t)));
    AtomicFolder.write(
        output,
        folder -> {
          SafetensorsWriter.writeModel(folder, tensors, SafetensorsWriter.DEFAULT_SHARD_BYTES);
          extendedConfig().write(folder.resolve(HuggingFaceConfig.FILE));
          CompanionFiles.copy(beside, folder);
          plan.write(folder.resolve("extension.json"));
        });
  }
}
