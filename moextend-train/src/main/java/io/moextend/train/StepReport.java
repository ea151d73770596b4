package io.moextend.train;

/**
 * One optimizer step, over all ranks.
 *
 * @param step from 1
 * @param losses mean over micro-batches and ranks
 * @param gradientNorm global L2 norm before clipping
 * @param learningRate the rate this step used
 * @param seconds of wall clock, waiting for data counted
 * @param samplesSeen since the start of the run
 * @param untrainedBatches micro-batches of this rank in which nothing that trains took part
 */
public record StepReport(
    int step,
    Losses losses,
    double gradientNorm,
    double learningRate,
    double seconds,
    long samplesSeen,
    int untrainedBatches) {
  public double tokensPerSecond() {
    return losses.tokens() / Math.max(seconds, 1e-9);
  }
}
