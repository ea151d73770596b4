package io.moextend.cli;

import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** --model and, where that holds trained tensors alone, --base. */
final class ModelOptions {
  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR",
      description = "Folder of a Hugging Face checkpoint, or of a delta with --base.")
  private Path model = Path.of("");

  @Option(
      names = "--base",
      paramLabel = "DIR",
      description = "The checkpoint a delta in --model was trained from.")
  private @Nullable Path base;

  Path folder() {
    return model;
  }

  /** The folder that has config.json and the tokenizer: the model's own, else its base's. */
  Path home() {
    return where().home();
  }

  HuggingFaceConfig config() {
    return where().config();
  }

  WeightSource weights() {
    return where().weights();
  }

  ModelFolder where() {
    return new ModelFolder(model, base);
  }
}
