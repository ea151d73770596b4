package io.moextend.train;

/**
 * When the model is evaluated.
 *
 * @param evalSteps optimizer steps between evaluations; 0 = never
 * @param perDeviceEvalBatchSize samples of an evaluation batch on one rank
 */
public record EvaluationSection(int evalSteps, int perDeviceEvalBatchSize) {
  public EvaluationSection {
    Section.requireAtLeast("evaluation.eval_steps", evalSteps, 0);
    Section.requireAtLeast("evaluation.per_device_eval_batch_size", perDeviceEvalBatchSize, 1);
  }
}
