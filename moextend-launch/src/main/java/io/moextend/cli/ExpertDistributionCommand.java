package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.data.BatchesAhead;
import io.moextend.data.FirstTurns;
import io.moextend.data.SampleFile;
import io.moextend.model.OpenModel;
import io.moextend.report.ExpertDistributionReport;
import io.moextend.stage.CountingMode;
import io.moextend.stage.ExpertDistribution;
import io.moextend.stage.ExpertDistribution.LayerScore;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.RoutingCensus;
import io.moextend.stage.RoutingCounter;
import io.moextend.text.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Where the extension stage moved the routing, and which layers are therefore extended. */
@Command(
    name = "expert-distribution",
    mixinStandardHelpOptions = true,
    description = {
      "Counts over the samples' first turns which experts the routers choose before and after the extension stage, ranks the layers",
      "by how far that moved, and writes the plan for init-expert: the layers to extend and the expert each new one is copied from."
    },
    footer = {
      "",
      "Example:  moextend expert-distribution --before runs/alignment/model --after runs/extension/model --data sample_10k.json \\",
      "            --image-root images --output extension.json"
    })
final class ExpertDistributionCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ComparedModels models = new ComparedModels();
  @Mixin private final TextOptions texts = new TextOptions();
  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "extension.json to write; must not exist.")
  private Path output = Path.of("");

  @Option(
      names = "--report",
      paramLabel = "FILE",
      description = "HTML report to write; default: beside --output, with .html.")
  private @Nullable Path report;

  @Option(
      names = "--as-published",
      description =
          "Count each token's LEAST likely experts, as the published script does by its upward sort.")
  private boolean asPublished;

  @Option(
      names = "--layers",
      paramLabel = "N",
      description = "How many layers get an expert; default: half of them, rounded down.")
  private @Nullable Integer layers;

  @Option(
      names = "--batch",
      defaultValue = "8",
      paramLabel = "N",
      description = "Samples run at once (default: ${DEFAULT-VALUE}).")
  private int batch;

  /**
   * @param fingerprint of the model's weights
   */
  private record Counted(String fingerprint, RoutingCensus census) {}

  @Override
  public Integer call() {
    ReportFiles files = ReportFiles.of(output, report);
    DecoderConfig config = models.architecture();
    int extended = extended(config);
    List<Path> homes = List.of(models.after().home(), models.before().home());
    try (SampleFile file = texts.openSamples();
        Tokenizer tokenizer = texts.openTokenizer(config, homes)) {
      FirstTurns turns = texts.firstTurns(file, tokenizer, config, homes);
      Counted before;
      Counted after;
      try (Backend opened = backend.open()) {
        before = count(opened, "before", models.before(), turns);
        after = count(opened, "after", models.after(), turns);
      }
      var source =
          new ExtensionPlan.Source(
              before.fingerprint(),
              after.fingerprint(),
              texts.name(),
              turns.size(),
              turns.tokens());
      ExpertDistribution distribution =
          ExpertDistribution.between(
              before.census().fractions(), after.census().fractions(), mode(), extended);
      distribution.plan(source).write(files.output());
      ExpertDistributionReport.of(before.census(), after.census(), distribution, source)
          .write(files.page());
      print(distribution, source, files);
    }
    return 0;
  }

  private int extended(DecoderConfig config) {
    int count = layers == null ? config.layers() / 2 : layers;
    if (count < 1 || count > config.layers()) {
      throw new ConfigException("--layers", count, "choose 1 to " + config.layers());
    }
    return count;
  }

  private CountingMode mode() {
    return asPublished ? CountingMode.AS_PUBLISHED : CountingMode.PAPER;
  }

  private Counted count(Backend opened, String which, ModelFolder folder, FirstTurns turns) {
    try (OpenModel model = folder.open(folder.config().decoder(), opened, backend.dtype());
        BatchesAhead batches = turns.ahead(batch)) {
      String fingerprint = Fingerprint.of(model.source()).hex();
      var counter = new RoutingCounter(opened, model.decoder());
      var progress = new SampleProgress(Commands.out(spec), which, turns.size());
      return new Counted(fingerprint, counter.census(batches, mode(), progress));
    }
  }

  private void print(
      ExpertDistribution distribution, ExtensionPlan.Source source, ReportFiles files) {
    PrintWriter out = Commands.out(spec);
    if (asPublished) {
      out.println("*** MODE: AS-PUBLISHED ***");
      out.println("Counted are the LEAST likely experts of each token, not those that were used.");
    }
    out.printf(
        "%d samples, %d tokens, mode %s%n",
        source.samples(), source.tokens(), distribution.mode().label());
    out.println("rank  layer     score  donor  its share");
    List<LayerScore> ranking = distribution.ranking();
    int cut = distribution.selected().size();
    for (int i = 0; i < ranking.size(); i++) {
      if (i == cut) {
        out.println("----------------------------------- cut");
      }
      LayerScore layer = ranking.get(i);
      out.printf(
          Locale.ROOT,
          "%4d  %5d  %.6f  %5d  %8.2f%%%s%n",
          i + 1,
          layer.layer(),
          layer.score(),
          layer.donor(),
          100 * layer.donorShare(),
          i < cut ? "  extended" : "");
    }
    if (!distribution.tiedAtCut().isEmpty()) {
      out.println(
          "layers %s have the same score on both sides of the cut; the lower went first"
              .formatted(distribution.tiedAtCut()));
    }
    files.print(out);
  }
}
