package io.moextend.cli;

import io.moextend.config.ConfigException;
import io.moextend.train.TrainingSection.ComputeType;
import java.nio.file.Path;
import java.util.List;

/**
 * What the demo was told.
 *
 * @param output folder of everything it writes
 * @param backend "auto", "cpu" or "nd4j"
 * @param threads of the CPU kernels, in all
 * @param ranks processes that share each training stage; 1 = the demo's own
 */
record DemoSettings(
    Path output, String backend, ComputeType dtype, int threads, long seed, int ranks) {
  DemoSettings {
    if (ranks < 1) {
      throw new ConfigException("--nproc-per-node", ranks, "must be at least 1");
    }
  }

  /**
   * @throws ConfigException where the ranks cannot share a stage's batches evenly
   */
  void requireSharable(List<DemoPlan.Steps> stages) {
    for (DemoPlan.Steps steps : stages) {
      if (steps.batch() % ranks != 0) {
        throw new ConfigException(
            "--nproc-per-node",
            ranks,
            "each step has %d samples, which so many ranks cannot share evenly; take a divisor of it"
                .formatted(steps.batch()));
      }
    }
  }

  /** At least one. */
  int threadsOfRank() {
    return Math.max(1, threads / ranks);
  }
}
