package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.config.ConfigException;
import io.moextend.config.T5Config;
import io.moextend.data.prompted.TaskList;
import io.moextend.eval.AdaptedT5;
import io.moextend.eval.RankExamination;
import io.moextend.eval.RankExamination.Settings;
import io.moextend.eval.RankFile;
import io.moextend.model.OpenAdapters;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** How many questions a model answers rightly. */
@Command(
    name = "evaluate",
    mixinStandardHelpOptions = true,
    description = {
      "Scores every choice of every example of a list of tasks with a T5, alone or with a trained adapter: the sum of the log-probabilities of the choice's tokens, the end with them.",
      "Shows the accuracy of each task, the median of each dataset over its prompts, and their average."
    },
    footer = {
      "",
      "Example:  moextend evaluate --task rank-classification --model t5-xl-lm-adapt --adapter runs/mov/adapter --tasks configs/mov/t0_eval.yaml --root data/t0"
    })
final class EvaluateCommand implements Callable<Integer> {
  private static final String RANK_CLASSIFICATION = "rank-classification";
  private static final String TOKENIZER = "tokenizer.json";

  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();
  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--task",
      required = true,
      paramLabel = RANK_CLASSIFICATION,
      description = "What is asked of the model.")
  private String task = "";

  @Option(
      names = "--adapter",
      paramLabel = "DIR",
      description =
          "Folder of a trained adapter: adapter.json, or PEFT's adapter_config.json, with its weights; default: the model alone.")
  private @Nullable Path adapter;

  @Option(
      names = "--tasks",
      required = true,
      paramLabel = "FILE",
      description = "YAML list of tasks, like configs/mov/t0_eval.yaml.")
  private Path tasks = Path.of("");

  @Option(
      names = "--root",
      paramLabel = "DIR",
      description = "Folder the tasks' files lie in; default: what the list says, else its own.")
  private @Nullable Path root;

  @Option(
      names = "--tokenizer",
      paramLabel = "DIR",
      description = "Folder of tokenizer.json; default: the model's.")
  private @Nullable Path tokenizer;

  @Option(
      names = "--split",
      paramLabel = "NAME",
      description = "Split of cached tasks, such as validation; default: what the list says.")
  private @Nullable String split;

  @Option(
      names = "--batch-size",
      defaultValue = "32",
      paramLabel = "N",
      description = "Choices scored at once (default: ${DEFAULT-VALUE}).")
  private int batchSize;

  @Option(
      names = "--inputs-length",
      defaultValue = "1024",
      paramLabel = "N",
      description = "Most tokens of an input (default: ${DEFAULT-VALUE}).")
  private int inputsLength;

  @Option(
      names = "--targets-length",
      defaultValue = "256",
      paramLabel = "N",
      description = "Most tokens of a choice, the end counted (default: ${DEFAULT-VALUE}).")
  private int targetsLength;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Examples of each task, its first; default: all.")
  private @Nullable Integer limit;

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description = "JSON file to write; must not exist.")
  private @Nullable Path output;

  @Override
  public Integer call() {
    if (!task.equals(RANK_CLASSIFICATION)) {
      throw new ConfigException("--task", task, "known is " + RANK_CLASSIFICATION);
    }
    if (output != null) {
      ReportFiles.requireAbsent("--output", output);
    }
    var settings = new Settings(batchSize, inputsLength, targetsLength, limit);
    TaskList list = list();
    T5Config config = model.where().t5();
    try (Tokenizer opened = Tokenizer.open(tokenizer());
        Backend computes = backend.open();
        AdaptedT5 t5 =
            AdaptedT5.open(model.weights(), config, adapter, computes, backend.dtype())) {
      var examination = new RankExamination(computes, t5.model(), opened, settings);
      RankExamination.Result result = run(examination, list);
      new RankTable(result).print(Commands.out(spec));
      if (output != null) {
        RankFile.of(source(t5, list, settings), result).write(output);
        Commands.say(spec, "written: " + output);
      }
    }
    return 0;
  }

  private TaskList list() {
    TaskList list = TaskList.read(tasks, root);
    return split == null
        ? list
        : new TaskList(list.file(), list.root(), split, list.cap(), list.entries());
  }

  private Path tokenizer() {
    Path folder = tokenizer == null ? model.home() : tokenizer;
    if (tokenizer == null && !Files.exists(folder.resolve(TOKENIZER))) {
      throw new ConfigException(
          "%s: has no %s; name one with --tokenizer".formatted(folder, TOKENIZER));
    }
    return folder;
  }

  private RankExamination.Result run(RankExamination examination, TaskList list) {
    try {
      Path scratch = Files.createTempDirectory("moextend-evaluate-");
      try {
        return examination.run(list, scratch, new RankProgress(Commands.err(spec)));
      } finally {
        Files.deleteIfExists(scratch);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static RankFile.Source source(AdaptedT5 t5, TaskList list, Settings settings) {
    OpenAdapters adapters = t5.adapters();
    Integer limit = settings.limit();
    return new RankFile.Source(
        Fingerprint.of(t5.weights()).hex(),
        adapters == null ? "" : adapters.adapters().config().method().word(),
        String.valueOf(list.file().getFileName()),
        list.split(),
        settings.inputsLength(),
        settings.targetsLength(),
        limit == null ? 0 : limit);
  }
}
