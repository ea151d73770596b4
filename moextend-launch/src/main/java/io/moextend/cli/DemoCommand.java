package io.moextend.cli;

import io.moextend.config.ConfigException;
import io.moextend.train.TrainingSection.ComputeType;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Everything on a tiny model, in minutes. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    description = {
      "Makes a small world of coloured shapes, pretrains a tiny Mixtral on its texts, draws its pictures, teaches the model to see them",
      "by alignment, extension, new experts and finetuning, and the same model by plain full finetuning, and measures all of it:",
      "OUT/report.html. Takes a few minutes on two cores; needs no network."
    },
    footer = {"", "Example:  moextend demo --output runs/demo"})
final class DemoCommand implements Callable<Integer> {
  @Option(
      names = "--output",
      defaultValue = "runs/demo",
      paramLabel = "DIR",
      description = "Folder to write; must be new or empty (default: ${DEFAULT-VALUE}).")
  private Path output = Path.of("");

  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--seed",
      defaultValue = "42",
      description = "Of the world and the weights (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--quick",
      description = "A smaller model and few steps: shows that everything runs, learns little.")
  private boolean quick;

  @Option(
      names = {"--nproc-per-node", "--nproc_per_node"},
      defaultValue = "1",
      paramLabel = "N",
      description =
          "Processes that share each training stage; the samples of a step stay the same (default: ${DEFAULT-VALUE}).")
  private int ranks = 1;

  @Override
  public Integer call() {
    DemoPlan plan = quick ? DemoPlan.quick() : DemoPlan.usual();
    var run =
        new DemoRun(
            new DemoSettings(output, backend.backend(), type(), backend.threads(), seed, ranks),
            plan,
            System.out);
    DemoResults results = run.run();
    System.out.printf(
        Locale.ROOT,
        "%npicture questions: %.1f %% before, %.1f %% after; text perplexity times %.3f (full finetuning: times %.3f)%n",
        100 * results.marks(DemoChain.PRETRAINED).pictureAccuracy(),
        100 * results.marks(DemoChain.EXTENDED).pictureAccuracy(),
        results.drift(DemoChain.EXTENDED),
        results.drift(DemoChain.FULL));
    if (ranks > 1) {
      new DemoRanks(ranks, results.stages()).lines().forEach(System.out::println);
    }
    System.out.printf(Locale.ROOT, "%.0f s; report: %s%n", results.seconds(), run.report());
    return 0;
  }

  private ComputeType type() {
    return switch (backend.dtype()) {
      case BF16 -> ComputeType.BF16;
      case F32 -> ComputeType.F32;
      default -> throw new ConfigException("--dtype", backend.dtype(), "known are bf16 and f32");
    };
  }
}
