package io.moextend.train;

import java.util.SequencedMap;

/** What every run is told, whatever it trains. */
public sealed interface RunConfig permits TrainConfig, AdaptConfig {
  CheckpointSection checkpoints();

  OptimizerSection optimizer();

  DistributedSection distributed();

  /** Optimizer steps between two lines on a terminal that cannot rewrite one. */
  int loggingSteps();

  /** With every default filled in; reading it gives back an equal record. */
  String yaml();

  /**
   * Field paths and values that a resumed run must share with the run it goes on with. Ranks and
   * accumulation may change as long as their product, and so the global batch, does not.
   *
   * @param world ranks of this run
   */
  SequencedMap<String, String> identity(int world);
}
