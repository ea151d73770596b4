package io.moextend.train;

import java.util.List;

/**
 * The loss over evaluation batches: batch i on rank i % world. Where the last round has no batch
 * for a rank, it computes one that does not count, so that all ranks gather the same weights in
 * step. The result is the same to the bit at any number of ranks.
 */
final class Evaluation<B> {
  private static final int COUNTS = 5;

  private final Objective<B> objective;
  private final List<B> batches;
  private final Peers peers;

  Evaluation(Objective<B> objective, List<B> batches, Peers peers) {
    this.objective = objective;
    this.batches = batches;
    this.peers = peers;
  }

  /** Mean over samples, not over batches, as Hugging Face's evaluation loop has it. */
  Losses run() {
    double[] sums = new double[COUNTS];
    for (int first = 0; first < batches.size(); first += peers.world()) {
      Losses own =
          objective.evaluate(batches.get(Math.min(first + peers.rank(), batches.size() - 1)));
      double[][] round = peers.gather("evaluation from batch " + first, weighted(own));
      for (int rank = 0; rank < peers.world() && first + rank < batches.size(); rank++) {
        for (int i = 0; i < COUNTS; i++) {
          sums[i] += round[rank][i];
        }
      }
    }
    double samples = sums[4];
    return new Losses(
        sums[0] / samples,
        sums[1] / samples,
        sums[2] / samples,
        Math.round(sums[3]),
        Math.round(samples),
        false);
  }

  private static double[] weighted(Losses losses) {
    return new double[] {
      losses.loss() * losses.samples(),
      losses.lmLoss() * losses.samples(),
      losses.auxLoss() * losses.samples(),
      losses.tokens(),
      losses.samples()
    };
  }
}
