package io.moextend.train;

import io.moextend.config.ConfigException;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;

/**
 * Everything a run is told, in YAML. Fields have the names of Hugging Face's TrainingArguments
 * where those have one. What a file leaves out comes from defaults.yaml beside this class; what has
 * no default there must be given.
 *
 * @param loggingSteps optimizer steps between two lines on a terminal that cannot rewrite one
 */
public record TrainConfig(
    ModelSection model,
    AdapterSection adapter,
    DataSection data,
    OptimizerSection optimizer,
    TrainingSection training,
    EvaluationSection evaluation,
    CheckpointSection checkpoints,
    DistributedSection distributed,
    int loggingSteps)
    implements RunConfig {
  private static final ConfigYaml<TrainConfig> YAML =
      new ConfigYaml<>(TrainConfig.class, "defaults.yaml");

  /** In the identity: per-device batch times accumulation times ranks; no field of its own. */
  static final String GLOBAL_BATCH = "training.global_batch";

  /** Changing one of these makes another run of it; a resumed run must have them as they were. */
  private static final List<String> IDENTITY =
      AdapterSection.identityWith(
          "training.seed",
          "training.per_device_train_batch_size",
          "training.dtype",
          "training.balance",
          "training.router_aux_loss_coef",
          "training.train",
          "training.freeze",
          "data.train_files",
          "data.format",
          "data.max_length",
          "data.over_length",
          "data.first_turn_only",
          "data.pad_to_max",
          "data.eval_split",
          "data.exif_orientation",
          "data.max_image_pixels",
          "data.conversation_template",
          "data.group_by_modality_length",
          "model.projector_type",
          "model.s2_scales",
          "model.image_aspect_ratio");

  public TrainConfig {
    if (adapter.method() == AdapterSection.Method.FULL) {
      throw new ConfigException(
          "adapter.method", "full", "of a decoder that is --stage full; write none or an adapter");
    }
    Section.requireAtLeast("logging_steps", loggingSteps, 1);
    if (evaluation.evalSteps() > 0 && data.evalFiles().isEmpty() && data.evalSplit() == 0) {
      throw new ConfigException(
          "evaluation.eval_steps",
          evaluation.evalSteps(),
          "there is nothing to evaluate on; set data.eval_files or data.eval_split, or eval_steps: 0");
    }
  }

  /**
   * @param overrides {@code key.path=value}, as typed after --set; the last one counts
   * @throws ConfigException where the file cannot be read or a field is unknown, missing or wrong
   */
  public static TrainConfig read(Path file, List<String> overrides) {
    return YAML.read(file, overrides);
  }

  /**
   * @param origin what to call the text in messages
   */
  public static TrainConfig parse(String origin, String text, List<String> overrides) {
    return YAML.parse(origin, text, overrides);
  }

  @Override
  public String yaml() {
    return ConfigYaml.text(this);
  }

  @Override
  public SequencedMap<String, String> identity(int world) {
    SequencedMap<String, String> identity = ConfigYaml.values(this, IDENTITY);
    identity.put(GLOBAL_BATCH, String.valueOf(training.globalBatch(world)));
    return identity;
  }
}
