package io.moextend.train;

import java.util.List;
import org.jspecify.annotations.Nullable;

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
 * @param memoryPerRank most bytes each rank's device ever gave out, up to this step's update
 * @param communication of this rank in this step; null where nobody measures it
 */
public record StepReport(
    int step,
    Losses losses,
    double gradientNorm,
    double learningRate,
    double seconds,
    long samplesSeen,
    int untrainedBatches,
    List<Long> memoryPerRank,
    @Nullable CommunicationTime communication) {
  public StepReport {
    memoryPerRank = List.copyOf(memoryPerRank);
  }

  public double tokensPerSecond() {
    return losses.tokens() / Math.max(seconds, 1e-9);
  }
}
