package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.google.errorprone.annotations.CanIgnoreReturnValue;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import io.moextend.optim.AdamW;
import io.moextend.optim.Schedule;
import io.moextend.optim.UpdateRule;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.shard.RoleRates;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How weights are updated.
 *
 * @param optim by which rule
 * @param adafactor settings of that; read where {@code optim} names it, null = not given
 * @param learningRate peak of the schedule, per optimizer step
 * @param mmProjectorLr peak of the projector's rate, which follows the same schedule; null = the
 *     learning rate
 * @param mmVisionTowerLr the same of the vision tower, where that trains
 * @param adamBeta1 AdamW's: decay of the mean of gradients
 * @param adamBeta2 decay of the mean of squared gradients
 * @param adamEpsilon added to the root of the latter
 * @param weightDecay per step and unit of rate; biases and norms are spared
 * @param lrSchedulerType how the rate goes over the run
 * @param lrFactors read where that is "factors", null = not given
 * @param warmupRatio share of all steps that warm up; counts where warmupSteps is 0
 * @param warmupSteps optimizer steps of warm-up
 * @param maxGradNorm largest global L2 norm of the gradients; 0 = no clipping
 * @param untouched what happens to a parameter without a gradient in a step
 */
public record OptimizerSection(
    Rule optim,
    @Nullable AdafactorSection adafactor,
    double learningRate,
    @Nullable Double mmProjectorLr,
    @Nullable Double mmVisionTowerLr,
    double adamBeta1,
    double adamBeta2,
    double adamEpsilon,
    double weightDecay,
    Scheduler lrSchedulerType,
    @Nullable RateFactorsSection lrFactors,
    double warmupRatio,
    int warmupSteps,
    double maxGradNorm,
    UntouchedParameters untouched) {
  private static final String PROJECTOR_RATE = "optimizer.mm_projector_lr";
  private static final String TOWER_RATE = "optimizer.mm_vision_tower_lr";

  /** What makes another run: all of this section. */
  /** Changing one of these makes another run of it. */
  static final List<String> IDENTITY =
      List.of(
          "optimizer.optim",
          "optimizer.adafactor",
          "optimizer.learning_rate",
          "optimizer.mm_projector_lr",
          "optimizer.mm_vision_tower_lr",
          "optimizer.adam_beta1",
          "optimizer.adam_beta2",
          "optimizer.adam_epsilon",
          "optimizer.weight_decay",
          "optimizer.lr_scheduler_type",
          "optimizer.lr_factors",
          "optimizer.warmup_ratio",
          "optimizer.warmup_steps",
          "optimizer.max_grad_norm",
          "optimizer.untouched");

  /** Names of {@link UpdateRule}s. */
  public enum Rule {
    @JsonProperty("adamw")
    ADAMW,
    /** T5X's. */
    @JsonProperty("adafactor")
    ADAFACTOR
  }

  /** Names of {@link Schedule}s. */
  public enum Scheduler {
    @JsonProperty("cosine")
    COSINE,
    /** DeepSpeed's, as the published runs really used it. */
    @JsonProperty("warmup_lr")
    WARMUP_LR,
    /** No warm-up, as Hugging Face has it. */
    @JsonProperty("constant")
    CONSTANT,
    @JsonProperty("constant_with_warmup")
    CONSTANT_WITH_WARMUP,
    @JsonProperty("linear")
    LINEAR,
    /** T5X's product of factors. */
    @JsonProperty("factors")
    FACTORS
  }

  /** Names of {@link Untouched}. */
  public enum UntouchedParameters {
    /** DeepSpeed's way, and the published runs': its gradient is 0. */
    @JsonProperty("zero_gradient")
    ZERO_GRADIENT,
    /** Plain torch's way: it is left alone. */
    @JsonProperty("skip")
    SKIP;

    /** The same, as the optimizer knows it. */
    public Untouched policy() {
      return switch (this) {
        case ZERO_GRADIENT -> Untouched.ZERO_GRADIENT;
        case SKIP -> Untouched.SKIP;
      };
    }
  }

  public OptimizerSection {
    Section.requireAbove("optimizer.learning_rate", learningRate, 0);
    requireRate(PROJECTOR_RATE, mmProjectorLr);
    requireRate(TOWER_RATE, mmVisionTowerLr);
    Section.requireWithin("optimizer.adam_beta1", adamBeta1, 0, Math.nextDown(1.0));
    Section.requireWithin("optimizer.adam_beta2", adamBeta2, 0, Math.nextDown(1.0));
    Section.requireAbove("optimizer.adam_epsilon", adamEpsilon, 0);
    Section.requireWithin("optimizer.weight_decay", weightDecay, 0, 1);
    Section.requireWithin("optimizer.warmup_ratio", warmupRatio, 0, 1);
    Section.requireAtLeast("optimizer.warmup_steps", warmupSteps, 0);
    Section.requireWithin("optimizer.max_grad_norm", maxGradNorm, 0, Double.MAX_VALUE);
    if (optim == Rule.ADAFACTOR) {
      requireGiven("optimizer.adafactor", adafactor, "optim: adafactor");
      if (weightDecay != 0) {
        throw new ConfigException(
            "optimizer.weight_decay", weightDecay, "adafactor has none here; write 0");
      }
    }
    if (lrSchedulerType == Scheduler.FACTORS) {
      requireGiven("optimizer.lr_factors", lrFactors, "lr_scheduler_type: factors");
    }
    if (lrSchedulerType == Scheduler.CONSTANT && (warmupSteps > 0 || warmupRatio > 0)) {
      throw new ConfigException(
          "optimizer.lr_scheduler_type",
          "constant",
          "never warms up; write constant_with_warmup, or warmup_ratio: 0 and warmup_steps: 0");
    }
  }

  @CanIgnoreReturnValue
  private static <T> T requireGiven(String field, @Nullable T section, String why) {
    if (section == null) {
      throw new ConfigException(field, "null", "is needed with " + why);
    }
    return section;
  }

  private static void requireRate(String field, @Nullable Double rate) {
    if (rate != null) {
      Section.requireAbove(field, rate, 0);
    }
  }

  /**
   * Rates of the roles that have one of their own.
   *
   * @param trained what trains
   * @throws ConfigException where a role has a rate and does not train
   */
  public RoleRates rates(List<Parameter> trained) {
    var factors = new EnumMap<Role, Double>(Role.class);
    addRate(factors, PROJECTOR_RATE, Role.PROJECTOR, mmProjectorLr, trained);
    addRate(factors, TOWER_RATE, Role.VISION_TOWER, mmVisionTowerLr, trained);
    return new RoleRates(factors);
  }

  private void addRate(
      Map<Role, Double> factors,
      String field,
      Role role,
      @Nullable Double rate,
      List<Parameter> trained) {
    if (rate == null) {
      return;
    }
    if (trained.stream().noneMatch(p -> p.role() == role)) {
      throw new ConfigException(
          field,
          rate,
          "the %s does not train in this run; write null, or add role:%s to training.train"
              .formatted(role.words(), role.name().toLowerCase(Locale.ROOT)));
    }
    factors.put(role, rate / learningRate);
  }

  public UpdateRule rule() {
    return switch (optim) {
      case ADAMW -> new AdamW(adamBeta1, adamBeta2, adamEpsilon, weightDecay);
      case ADAFACTOR -> requireGiven("optimizer.adafactor", adafactor, "optim: adafactor").rule();
    };
  }

  /**
   * @param total optimizer steps of the whole run
   */
  public Schedule schedule(int total) {
    int warmup = warmupSteps > 0 ? warmupSteps : Schedule.warmupSteps(warmupRatio, total);
    return switch (lrSchedulerType) {
      case COSINE -> new Schedule.Cosine(learningRate, warmup, total);
      case LINEAR -> new Schedule.Linear(learningRate, warmup, total);
      case WARMUP_LR -> new Schedule.WarmupLr(learningRate, warmup);
      case CONSTANT -> new Schedule.Constant(learningRate, 0);
      case CONSTANT_WITH_WARMUP -> new Schedule.Constant(learningRate, warmup);
      case FACTORS ->
          requireGiven("optimizer.lr_factors", lrFactors, "lr_scheduler_type: factors")
              .schedule(learningRate, warmup);
    };
  }
}
