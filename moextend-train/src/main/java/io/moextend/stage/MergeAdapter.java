package io.moextend.stage;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.Merged;
import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import java.nio.file.Files;
import java.nio.file.Path;

/** Multiplies LoRA's or (IA)³'s adapters into their base's weights: a model that stands alone. */
public final class MergeAdapter {
  private MergeAdapter() {}

  /**
   * @param model the base's Hugging Face folder, whose config.json, tokenizer and other small files
   *     go along as they are
   * @param adapter its tensors as memory has them; closed here
   * @param output appears under its name only when whole
   * @throws io.moextend.checkpoint.CheckpointException where the method cannot be merged, or the
   *     base is another model
   */
  public static void run(Path model, AdapterConfig config, WeightSource adapter, Path output) {
    try (Merged merged = opened(model, config, adapter)) {
      var tensors = merged.names().stream().map(merged::stream).toList();
      AtomicFolder.write(
          output,
          folder -> {
            SafetensorsWriter.writeModel(folder, tensors, SafetensorsWriter.DEFAULT_SHARD_BYTES);
            Files.copy(
                model.resolve(HuggingFaceConfig.FILE), folder.resolve(HuggingFaceConfig.FILE));
            CompanionFiles.copy(model, folder);
          });
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, or closed here on failure
  private static Merged opened(Path model, AdapterConfig config, WeightSource adapter) {
    try {
      WeightSource base = CheckpointFolder.open(model);
      try {
        return Merged.of(base, config, adapter);
      } catch (RuntimeException e) {
        base.close();
        throw e;
      }
    } catch (RuntimeException e) {
      adapter.close();
      throw e;
    }
  }
}
