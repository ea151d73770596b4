package io.moextend.eval;

import io.moextend.config.ConfigException;

/**
 * What a T5's trace computes beside the forward passes.
 *
 * @param basic as of other models: gradients of each batch's loss, AdamW steps on a file's one
 *     batch; its learning rate is that of Adafactor's steps too
 * @param adafactorSteps Adafactor steps, on the batches plain and packed in turn
 * @param startStep steps that its counter begins with
 */
public record T5TraceRequest(TraceRequest basic, int adafactorSteps, long startStep) {
  public T5TraceRequest {
    if (adafactorSteps < 0) {
      throw new ConfigException("--adafactor-steps", adafactorSteps, "must be 0 or more");
    }
    if (startStep < 0) {
      throw new ConfigException("--start-step", startStep, "must be 0 or more");
    }
    if (startStep > 0 && adafactorSteps == 0) {
      throw new ConfigException("--start-step", startStep, "needs --adafactor-steps");
    }
    if (adafactorSteps > 0 && !(basic.learningRate() > 0)) {
      throw new ConfigException(
          "--learning-rate", basic.learningRate(), "must be positive with --adafactor-steps");
    }
    if (adafactorSteps > 0 && basic.adamSteps() > 0) {
      throw new ConfigException(
          "--adamw-steps", basic.adamSteps(), "is one way to train, --adafactor-steps another");
    }
  }
}
