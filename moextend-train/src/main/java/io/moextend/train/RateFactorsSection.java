package io.moextend.train;

import io.moextend.config.ConfigException;
import io.moextend.optim.FactorSchedule;

/**
 * A schedule in T5X's terms; warm-up and base rate are the optimizer's.
 *
 * @param factors with * between them: "constant * linear_warmup * rsqrt_decay"
 * @param firstStep the schedule's counter at this run's first step
 * @param decayFactor of decay_every each time, of linear_decay for each step
 * @param stepsPerDecay steps between two decays of decay_every
 * @param stepsPerCycle steps of one cosine_decay
 * @param minLearningRate least rate, whatever the factors say
 */
public record RateFactorsSection(
    String factors,
    long firstStep,
    double decayFactor,
    int stepsPerDecay,
    int stepsPerCycle,
    double minLearningRate) {
  private static final String PATH = "optimizer.lr_factors.";

  public RateFactorsSection {
    try {
      FactorSchedule.parse(factors);
    } catch (ConfigException e) {
      throw new ConfigException(PATH + e.getMessage(), e);
    }
    Section.requireAtLeast(PATH + "first_step", firstStep, 0);
    Section.requireAbove(PATH + "decay_factor", decayFactor, 0);
    Section.requireAtLeast(PATH + "steps_per_decay", stepsPerDecay, 1);
    Section.requireAtLeast(PATH + "steps_per_cycle", stepsPerCycle, 1);
    Section.requireWithin(PATH + "min_learning_rate", minLearningRate, 0, Double.MAX_VALUE);
  }

  FactorSchedule schedule(double base, int warmup) {
    return new FactorSchedule(
        base,
        FactorSchedule.parse(factors),
        warmup,
        firstStep,
        decayFactor,
        stepsPerDecay,
        stepsPerCycle,
        minLearningRate);
  }
}
