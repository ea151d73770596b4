package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.moextend.train.TrainingSection.ComputeType;
import org.jspecify.annotations.Nullable;

/**
 * How the loop of an encoder-decoder runs. Global batch = per-device batch · accumulation · ranks.
 *
 * @param perDeviceTrainBatchSize rows of a micro-batch on one rank, several examples each where
 *     they are packed
 * @param gradientAccumulationSteps micro-batches of an optimizer step
 * @param maxSteps optimizer steps of the run; tasks are drawn without end
 * @param seed of the order of examples, of fresh weights and of dropout
 * @param gradientCheckpointing true computes each layer's activations again in the backward pass
 * @param dtype what products are computed in; masters and sums are f32
 * @param backend "auto", "cpu", "nd4j" or "cuda"
 * @param threads worker threads of a rank; null = the host's cores divided by its ranks
 * @param dropoutRate share of activations that are left out; 0 = none
 * @param zLoss weight of the squared log of the softmax' sum
 * @param labelSmoothing share of a target that goes to all other tokens
 * @param lossNormalizer what the sum of tokens' losses is divided by
 */
public record AdaptTraining(
    int perDeviceTrainBatchSize,
    int gradientAccumulationSteps,
    int maxSteps,
    long seed,
    boolean gradientCheckpointing,
    ComputeType dtype,
    String backend,
    @Nullable Integer threads,
    double dropoutRate,
    double zLoss,
    double labelSmoothing,
    Normalizer lossNormalizer) {
  /** T5X's ways to make one number of tokens' losses. */
  public enum Normalizer {
    /** Every example counts the same, however long its target is. */
    @JsonProperty("average_per_sequence")
    AVERAGE_PER_SEQUENCE,
    /** The mean over targets that are no padding. */
    @JsonProperty("num_real_target_tokens")
    REAL_TOKENS,
    /** The sum divided by all targets, padding counted. */
    @JsonProperty("num_total_target_tokens")
    TOTAL_TOKENS,
    /** The sum. */
    @JsonProperty("none")
    NONE
  }

  public AdaptTraining {
    Section.requireAtLeast("training.per_device_train_batch_size", perDeviceTrainBatchSize, 1);
    Section.requireAtLeast("training.gradient_accumulation_steps", gradientAccumulationSteps, 1);
    Section.requireAtLeast("training.max_steps", maxSteps, 1);
    if (threads != null) {
      Section.requireAtLeast("training.threads", threads, 1);
    }
    Section.requireWithin("training.dropout_rate", dropoutRate, 0, Math.nextDown(1.0));
    Section.requireWithin("training.z_loss", zLoss, 0, 1e6);
    Section.requireWithin("training.label_smoothing", labelSmoothing, 0, Math.nextDown(1.0));
  }

  /** Rows of an optimizer step. */
  public long globalBatch(int world) {
    return Math.multiplyExact(
        (long) perDeviceTrainBatchSize, Math.multiplyExact(gradientAccumulationSteps, world));
  }
}
