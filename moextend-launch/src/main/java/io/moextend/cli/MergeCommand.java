package io.moextend.cli;

import io.moextend.adapter.StoredAdapter;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.stage.MergeAdapter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Adapters multiplied into their base. */
@Command(
    name = "merge",
    mixinStandardHelpOptions = true,
    description = {
      "Multiplies LoRA's or (IA)3's adapters into the weights of their base and writes a model that stands alone.",
      "Mixtures (mov, molora) depend on each token and cannot be merged."
    },
    footer = {
      "",
      "Example:  moextend merge --model models/t5-v1_1-large --adapter runs/mov/lora/model --output merged"
    })
final class MergeCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Option(names = "--model", required = true, paramLabel = "DIR", description = "The base.")
  private Path model = Path.of("");

  @Option(
      names = "--adapter",
      required = true,
      paramLabel = "DIR",
      description = "Folder of adapters, ours or PEFT's.")
  private Path adapter = Path.of("");

  @Option(
      names = "--output",
      required = true,
      paramLabel = "DIR",
      description = "Folder to write; must not exist.")
  private Path output = Path.of("");

  @Override
  @SuppressWarnings("MustBeClosedChecker") // closed by MergeAdapter
  public Integer call() {
    if (Files.exists(output)) {
      throw new ConfigException("--output", output, "exists already; remove it or name another");
    }
    StoredAdapter stored = StoredAdapter.open(adapter, HuggingFaceConfig.read(model).model());
    MergeAdapter.run(model, stored.config(), stored.weights(), output);
    Commands.say(spec, "merged into " + output);
    return 0;
  }
}
