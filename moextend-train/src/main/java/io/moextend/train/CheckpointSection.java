package io.moextend.train;

import io.moextend.config.ConfigException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What a run leaves behind.
 *
 * @param outputDir folder of the run: configuration, metrics, checkpoints, model
 * @param saveSteps optimizer steps between checkpoints; 0 = only at the end
 * @param saveTotalLimit checkpoints kept; null = all
 * @param resumeFromCheckpoint "none" starts afresh, "auto" goes on with the newest whole checkpoint
 *     of outputDir if there is one, else a checkpoint's folder
 */
public record CheckpointSection(
    Path outputDir, int saveSteps, @Nullable Integer saveTotalLimit, String resumeFromCheckpoint) {
  public CheckpointSection {
    Section.requireAtLeast("checkpoints.save_steps", saveSteps, 0);
    if (saveTotalLimit != null) {
      Section.requireAtLeast("checkpoints.save_total_limit", saveTotalLimit, 1);
    }
    if (resumeFromCheckpoint.isBlank()) {
      throw new ConfigException(
          "checkpoints.resume_from_checkpoint",
          "\"\"",
          "write none, auto or a checkpoint's folder");
    }
  }
}
