package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.moextend.array.DType;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.model.CausalLoss;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.ParameterRule;
import io.moextend.stage.Stage;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How the loop runs. Global batch = per-device batch · accumulation · ranks.
 *
 * @param perDeviceTrainBatchSize samples of a micro-batch on one rank
 * @param gradientAccumulationSteps micro-batches of an optimizer step
 * @param numTrainEpochs passes over the data; counts where maxSteps is -1
 * @param maxSteps optimizer steps of the run; -1 = as epochs say
 * @param seed of the order of samples and of fresh weights
 * @param gradientCheckpointing true computes each block's activations again in the backward pass:
 *     less memory, about a third more time
 * @param dtype what products are computed in; masters and sums are f32
 * @param backend "auto", "cpu" or "nd4j"
 * @param threads worker threads of a rank; null = the host's cores divided by its ranks
 * @param balance how the load-balancing loss puts layers together
 * @param routerAuxLossCoef weight of the load-balancing loss; null = the model's own
 * @param train {@link ParameterRule}s of what trains beside the stage's own roles
 * @param freeze those of what does not train after all; they count most
 */
public record TrainingSection(
    int perDeviceTrainBatchSize,
    int gradientAccumulationSteps,
    double numTrainEpochs,
    int maxSteps,
    long seed,
    boolean gradientCheckpointing,
    ComputeType dtype,
    String backend,
    @Nullable Integer threads,
    Balance balance,
    @Nullable Double routerAuxLossCoef,
    List<String> train,
    List<String> freeze) {
  /** Types to compute in. */
  public enum ComputeType {
    @JsonProperty("bf16")
    BF16(DType.BF16),
    @JsonProperty("f32")
    F32(DType.F32);

    private final DType dtype;

    ComputeType(DType dtype) {
      this.dtype = dtype;
    }

    public DType dtype() {
      return dtype;
    }
  }

  /** How the load-balancing loss puts layers together. */
  public enum Balance {
    /** As the published code: per_layer on an extended model, pooled on one that is not. */
    @JsonProperty("auto")
    AUTO,
    /** Each layer's shares times its own probabilities (MoExtend). */
    @JsonProperty("per_layer")
    PER_LAYER,
    /** Shares and probabilities averaged over layers first (Mixtral in transformers). */
    @JsonProperty("pooled")
    POOLED
  }

  public TrainingSection {
    Section.requireAtLeast("training.per_device_train_batch_size", perDeviceTrainBatchSize, 1);
    Section.requireAtLeast("training.gradient_accumulation_steps", gradientAccumulationSteps, 1);
    if (maxSteps != -1) {
      Section.requireAtLeast("training.max_steps", maxSteps, 1);
    }
    Section.requireAbove("training.num_train_epochs", numTrainEpochs, 0);
    if (threads != null) {
      Section.requireAtLeast("training.threads", threads, 1);
    }
    if (routerAuxLossCoef != null) {
      Section.requireWithin("training.router_aux_loss_coef", routerAuxLossCoef, 0, 1e6);
    }
    train = List.copyOf(train);
    freeze = List.copyOf(freeze);
    ParameterRule.parse(FreezePlan.TRAIN, train);
    ParameterRule.parse(FreezePlan.FREEZE, freeze);
  }

  /** What a run of this stage trains. */
  public FreezePlan plan(Stage stage) {
    return new FreezePlan(
        stage,
        ParameterRule.parse(FreezePlan.TRAIN, train),
        ParameterRule.parse(FreezePlan.FREEZE, freeze));
  }

  /** Samples of an optimizer step. */
  public long globalBatch(int world) {
    return Math.multiplyExact(
        (long) perDeviceTrainBatchSize, Math.multiplyExact(gradientAccumulationSteps, world));
  }

  /**
   * Optimizer steps of the run, as Hugging Face counts them: micro-batches that do not fill a last
   * step of an epoch belong to the next one. The same for every number of ranks with the same
   * global batch.
   *
   * @param microBatches of all ranks in one pass over the data
   * @param world ranks
   */
  public int steps(long microBatches, int world) {
    if (maxSteps != -1) {
      return maxSteps;
    }
    long together = Math.multiplyExact((long) gradientAccumulationSteps, world);
    long perEpoch = Math.max(1, microBatches / together);
    double steps = Math.ceil(numTrainEpochs * perEpoch);
    if (steps > Integer.MAX_VALUE) {
      throw new ConfigException(
          "training.num_train_epochs", numTrainEpochs, "makes %.0f steps".formatted(steps));
    }
    return (int) steps;
  }

  /**
   * The loss this run minimises.
   *
   * @throws ConfigException where pooled is asked of layers with different numbers of experts
   */
  public CausalLoss loss(DecoderConfig model) {
    CausalLoss published = CausalLoss.published(model);
    BalanceForm form =
        switch (balance) {
          case AUTO -> published.form();
          case PER_LAYER -> BalanceForm.PER_LAYER;
          case POOLED -> pooled(model);
        };
    var loss = new CausalLoss(form, published.coefficients());
    return routerAuxLossCoef == null ? loss : loss.weighing(routerAuxLossCoef);
  }

  private static BalanceForm pooled(DecoderConfig model) {
    if (model.feedForward() instanceof FeedForwardConfig.Experts experts) {
      int extended = experts.extendedLayers().size();
      if (extended > 0 && extended < model.layers()) {
        throw new ConfigException(
            "training.balance",
            "pooled",
            "%d of %d layers have one expert more, and unequal layers cannot be pooled; write per_layer"
                .formatted(extended, model.layers()));
      }
    }
    return BalanceForm.POOLED;
  }
}
