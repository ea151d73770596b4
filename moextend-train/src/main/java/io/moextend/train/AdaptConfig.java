package io.moextend.train;

import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.train.AdapterSection.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Everything a run is told that adapts an encoder-decoder to prompted tasks, in YAML. What a file
 * leaves out comes from adapt-defaults.yaml beside this class; what has no default there must be
 * given.
 *
 * @param loggingSteps optimizer steps between two lines on a terminal that cannot rewrite one
 */
public record AdaptConfig(
    Model model,
    AdapterSection adapter,
    PromptedSection data,
    OptimizerSection optimizer,
    AdaptTraining training,
    EvaluationSection evaluation,
    CheckpointSection checkpoints,
    DistributedSection distributed,
    int loggingSteps)
    implements RunConfig {
  private static final ConfigYaml<AdaptConfig> YAML =
      new ConfigYaml<>(AdaptConfig.class, "adapt-defaults.yaml");

  /**
   * What is adapted.
   *
   * @param base folder of a Hugging Face checkpoint
   * @param adapter folder of adapters to go on from: an earlier run's OUT/model; null = fresh ones
   * @param tokenizer tokenizer file or its folder, where not in the base
   */
  public record Model(Path base, @Nullable Path adapter, @Nullable Path tokenizer) {}

  /** Changing one of these makes another run of it. */
  private static final List<String> IDENTITY =
      AdapterSection.identityWith(
          "data.mixture",
          "data.inputs_length",
          "data.targets_length",
          "data.packing",
          "training.seed",
          "training.per_device_train_batch_size",
          "training.dtype",
          "training.dropout_rate",
          "training.z_loss",
          "training.label_smoothing",
          "training.loss_normalizer");

  public AdaptConfig {
    Section.requireAtLeast("logging_steps", loggingSteps, 1);
    if (adapter.method() == Method.NONE) {
      throw new ConfigException(
          "adapter.method", "none", "choose ia3, lora, mov, molora or full; --method does it too");
    }
    if (model.adapter() != null && !adapter.method().adds()) {
      throw new ConfigException(
          "model.adapter", model.adapter(), "full finetuning has no adapters to go on from");
    }
    if (evaluation.evalSteps() > 0 && data.evalMixture() == null) {
      throw new ConfigException(
          "evaluation.eval_steps",
          evaluation.evalSteps(),
          "there is nothing to evaluate on; set data.eval_mixture, or eval_steps: 0");
    }
  }

  /**
   * @param overrides {@code key.path=value}, as typed after --set; the last one counts
   * @throws ConfigException where the file cannot be read or a field is unknown, missing or wrong
   */
  public static AdaptConfig read(Path file, List<String> overrides) {
    return YAML.read(file, overrides);
  }

  /**
   * Whether a configuration is one of these: its base is an encoder-decoder.
   *
   * @throws ConfigException where the file names no base, or that cannot be read
   */
  public static boolean isMeant(Path file, List<String> overrides) {
    String base = YAML.text(file, overrides, "model", "base");
    return HuggingFaceConfig.read(Path.of(base)).model() instanceof T5Config;
  }

  /**
   * @param origin what to call the text in messages
   */
  public static AdaptConfig parse(String origin, String text, List<String> overrides) {
    return YAML.parse(origin, text, overrides);
  }

  @Override
  public String yaml() {
    return ConfigYaml.text(this);
  }

  @Override
  public SequencedMap<String, String> identity(int world) {
    SequencedMap<String, String> identity = ConfigYaml.values(this, IDENTITY);
    identity.put(TrainConfig.GLOBAL_BATCH, String.valueOf(training.globalBatch(world)));
    return identity;
  }
}
