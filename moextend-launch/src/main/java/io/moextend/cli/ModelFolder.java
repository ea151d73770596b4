package io.moextend.cli;

import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A model on disk.
 *
 * @param folder of a whole checkpoint, or of a delta
 * @param base the checkpoint a delta belongs to; null for a whole one
 */
record ModelFolder(Path folder, @Nullable Path base) {
  /** The folder that has config.json and the tokenizer: the model's own, else its base's. */
  Path home() {
    return base == null || Files.exists(folder.resolve(HuggingFaceConfig.FILE)) ? folder : base;
  }

  HuggingFaceConfig config() {
    if (base == null
        && DeltaCheckpoint.isIn(folder)
        && !Files.exists(folder.resolve(HuggingFaceConfig.FILE))) {
      weights().close(); // refuses, and says that a delta wants its base
    }
    return HuggingFaceConfig.read(home());
  }

  WeightSource weights() {
    return base == null ? CheckpointFolder.open(folder) : CheckpointFolder.open(folder, base);
  }
}
