package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.train.RandomModel;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** A model with random weights, to try things on. */
@Command(
    name = "random-model",
    mixinStandardHelpOptions = true,
    description =
        "Writes a model of a config.json's shape with random weights: Mixtral, Llama, Mistral, Qwen2, Phi-3, or a CLIP vision tower.",
    footer = {
      "",
      "Example:  moextend random-model --config golden/hf/hf_mixtral/config.json --output runs/random"
    })
final class RandomModelCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--config",
      required = true,
      paramLabel = "FILE",
      description = "config.json of the shape wanted.")
  private Path config = Path.of("");

  @Option(names = "--output", required = true, paramLabel = "DIR", description = "Folder to write.")
  private Path output = Path.of("");

  @Option(
      names = "--seed",
      defaultValue = "42",
      description = "Of the weights (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--tokenizer",
      paramLabel = "DIR",
      description = "Folder whose tokenizer and preprocessor files go along.")
  private @Nullable Path tokenizer;

  @Override
  public Integer call() {
    try (Backend opened = backend.open()) {
      RandomModel.write(
          opened,
          HuggingFaceConfig.read(config),
          backend.dtype(),
          seed,
          tokenizer == null ? List.of() : List.of(tokenizer),
          output);
    }
    Commands.say(spec, "written: " + output);
    return 0;
  }
}
