package io.moextend.cli;

import io.moextend.cli.DemoStages.Trained;
import io.moextend.config.ConfigException;
import io.moextend.train.TrainingSection.ComputeType;
import java.nio.file.Path;
import java.util.List;
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
    footer = {
      "",
      "Examples:  moextend demo --output runs/demo",
      "           moextend demo --system moiie --output runs/moiie",
      "           moextend demo --system mov --output runs/mov"
    })
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

  /** What is shown. */
  enum ShownSystem {
    MOEXTEND,
    MOIIE,
    MOV;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Option(
      names = "--system",
      defaultValue = "moextend",
      description =
          "moextend, or moiie: a dense model and the vanilla, modality and MoIIE mixtures grown from it, with equal budgets; or mov: a small T5, tuned by (IA)3, LoRA, mixtures of both and as a whole (default: ${DEFAULT-VALUE}).")
  private ShownSystem system = ShownSystem.MOEXTEND;

  @Override
  public Integer call() {
    var settings =
        new DemoSettings(output, backend.backend(), type(), backend.threads(), seed, ranks);
    switch (system) {
      case MOEXTEND -> moExtend(settings);
      case MOIIE -> moiie(settings);
      case MOV -> mov(settings);
    }
    return 0;
  }

  private void moiie(DemoSettings settings) {
    MoiieDemoPlan plan = quick ? MoiieDemoPlan.quick() : MoiieDemoPlan.usual();
    var demo = new MoiieDemo(settings, plan, System.out);
    MoiieDemoResults results = demo.run();
    System.out.println();
    for (MoiieDemoResults.Rival rival : results.rivals()) {
      System.out.printf(
          Locale.ROOT,
          "%-14s picture questions %.1f %%, text questions %.1f %%, %,d parameters, %,d of them for a token%n",
          rival.name(),
          100 * rival.marks().pictureAccuracy(),
          100 * rival.marks().textAccuracy(),
          rival.parameters().all(),
          rival.parameters().activated());
    }
    closing(results.stages(), results.seconds(), demo.report());
  }

  private void mov(DemoSettings settings) {
    MovDemoPlan plan = quick ? MovDemoPlan.quick() : MovDemoPlan.usual();
    var demo = new MovDemo(settings, plan, System.out);
    MovDemoResults results = demo.run();
    System.out.printf(
        Locale.ROOT,
        "%nbefore  %.1f %% of questions in new words%n",
        results.before().averages().average());
    for (MovDemoResults.Pupil pupil : results.pupils()) {
      System.out.printf(
          Locale.ROOT,
          "%-7s %.1f %%, %,d numbers trained (%.3f %% of the model's)%n",
          pupil.method().word(),
          100 * pupil.accuracy(),
          pupil.trained(),
          100 * pupil.share());
    }
    closing(results.stages(), results.seconds(), demo.report());
  }

  private void moExtend(DemoSettings settings) {
    DemoPlan plan = quick ? DemoPlan.quick() : DemoPlan.usual();
    var run = new DemoRun(settings, plan, System.out);
    DemoResults results = run.run();
    System.out.printf(
        Locale.ROOT,
        "%npicture questions: %.1f %% before, %.1f %% after; text perplexity times %.3f (full finetuning: times %.3f)%n",
        100 * results.marks(DemoChain.PRETRAINED).pictureAccuracy(),
        100 * results.marks(DemoChain.EXTENDED).pictureAccuracy(),
        results.drift(DemoChain.EXTENDED),
        results.drift(DemoChain.FULL));
    closing(results.stages(), results.seconds(), run.report());
  }

  private void closing(List<Trained> stages, double seconds, Path report) {
    if (ranks > 1) {
      new DemoRanks(ranks, stages).lines().forEach(System.out::println);
    }
    System.out.printf(Locale.ROOT, "%.0f s; report: %s%n", seconds, report);
  }

  private ComputeType type() {
    return switch (backend.dtype()) {
      case BF16 -> ComputeType.BF16;
      case F32 -> ComputeType.F32;
      default -> throw new ConfigException("--dtype", backend.dtype(), "known are bf16 and f32");
    };
  }
}
