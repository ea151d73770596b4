package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.config.DecoderConfig;
import io.moextend.data.BatchesAhead;
import io.moextend.data.FirstTurns;
import io.moextend.data.SampleFile;
import io.moextend.model.OpenModel;
import io.moextend.report.RoutingReport;
import io.moextend.stage.ExpertLayers;
import io.moextend.stage.RoutingCounter;
import io.moextend.stage.RoutingFile;
import io.moextend.stage.RoutingStatistics;
import io.moextend.text.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Where a model's tokens go. */
@Command(
    name = "routing-statistics",
    aliases = "routing-stats",
    mixinStandardHelpOptions = true,
    description = {
      "Runs a mixture of experts over the samples' first questions and counts, for vision and text tokens apart, which experts of each layer they go to,",
      "with what weight and as which choice, and how much each group of experts gets. Writes the numbers as JSON and as an HTML report."
    },
    footer = {
      "",
      "Example:  moextend routing-statistics --model runs/moiie/sft/model --data pope.json --image-root images --output routing.json"
    })
final class RoutingStatisticsCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();
  @Mixin private final TextOptions texts = new TextOptions();
  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "JSON file to write; must not exist.")
  private Path output = Path.of("");

  @Option(
      names = "--report",
      paramLabel = "FILE",
      description = "HTML report to write; default: beside --output, with .html.")
  private @Nullable Path report;

  @Option(
      names = "--batch",
      defaultValue = "8",
      paramLabel = "N",
      description = "Samples run at once (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Override
  public Integer call() {
    ReportFiles files = ReportFiles.of(output, report);
    DecoderConfig config = model.where().decoder(ExpertLayers::of);
    List<Path> homes = List.of(model.home());
    try (SampleFile file = texts.openSamples();
        Tokenizer tokenizer = texts.openTokenizer(config, homes)) {
      RoutingFile numbers = count(config, texts.firstTurns(file, tokenizer, config, homes));
      numbers.write(files.output());
      RoutingReport.of(numbers).write(files.page());
      PrintWriter out = Commands.out(spec);
      new RoutingTable(numbers.routing()).print(out);
      files.print(out);
    }
    return 0;
  }

  private RoutingFile count(DecoderConfig config, FirstTurns turns) {
    try (Backend opened = backend.open();
        OpenModel open = model.where().open(config, opened, backend.dtype());
        BatchesAhead batches = turns.ahead(batch)) {
      var source = new RoutingFile.Source(Fingerprint.of(open.source()).hex(), texts.name());
      var progress = new SampleProgress(Commands.out(spec), "routing", turns.size());
      RoutingStatistics routing =
          new RoutingCounter(opened, open.decoder()).statistics(batches, progress);
      return new RoutingFile(source, routing);
    }
  }
}
