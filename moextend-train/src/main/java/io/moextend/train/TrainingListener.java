package io.moextend.train;

import java.nio.file.Path;

/** Told what happens in a run, in order, on the loop's thread, on rank 0 alone. */
public interface TrainingListener {
  /**
   * @param done steps a checkpoint had done already; 0 for a fresh run
   */
  default void started(int done) {}

  void stepped(StepReport report);

  /**
   * @param losses mean over the evaluation samples
   */
  default void evaluated(int step, Losses losses) {}

  default void saved(int step, Path checkpoint) {}

  /** After the last step, or before an exception leaves the loop. */
  default void ended() {}
}
