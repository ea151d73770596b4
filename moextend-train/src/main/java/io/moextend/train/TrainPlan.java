package io.moextend.train;

/**
 * The loop's numbers.
 *
 * @param steps optimizer steps of the whole run
 * @param microBatches of a step, on each rank
 * @param maxGradNorm 0 = no clipping
 * @param evalSteps steps between evaluations; 0 = never
 * @param saveSteps steps between checkpoints; 0 = only at the end
 */
public record TrainPlan(
    int steps, int microBatches, double maxGradNorm, int evalSteps, int saveSteps) {
  public TrainPlan {
    Section.requireAtLeast("steps", steps, 1);
    Section.requireAtLeast("gradient_accumulation_steps", microBatches, 1);
  }

  /**
   * @param microBatchesPerEpoch of all ranks in one pass over the data
   * @param world ranks
   */
  public static TrainPlan of(TrainConfig config, long microBatchesPerEpoch, int world) {
    return new TrainPlan(
        config.training().steps(microBatchesPerEpoch, world),
        config.training().gradientAccumulationSteps(),
        config.optimizer().maxGradNorm(),
        config.evaluation().evalSteps(),
        config.checkpoints().saveSteps());
  }

  boolean evaluatesAfter(int step) {
    return evalSteps > 0 && step % evalSteps == 0;
  }

  boolean savesAfter(int step) {
    return step == steps || saveSteps > 0 && step % saveSteps == 0;
  }
}
