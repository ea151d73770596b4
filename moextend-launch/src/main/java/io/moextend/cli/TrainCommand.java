package io.moextend.cli;

import io.moextend.config.ConfigException;
import io.moextend.launch.ExitCodes;
import io.moextend.stage.Stage;
import io.moextend.train.AdaptConfig;
import io.moextend.train.Progress;
import io.moextend.train.RunConfig;
import io.moextend.train.TrainConfig;
import io.moextend.train.Trainer;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import sun.misc.Signal;

/** One stage of training. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    description = {
      "Trains one stage: alignment (the projector), extension (the routers), finetune (new experts, their gates and calibrations,",
      "and the projector); pretrain (the projector) and sft (everything but the vision tower), as MoIIE calls its two; pretrain-text",
      "and full train everything but the vision tower; adapt trains adapters (--method) of an encoder-decoder or of a decoder. training.train and training.freeze change what trains by role or name.",
      "Writes OUT/model, metrics.jsonl, report.html, frozen.json and checkpoints; a run that was cut off goes on with",
      "checkpoints.resume_from_checkpoint=auto."
    },
    footer = {
      "",
      "Example:  moextend train --stage alignment --config configs/moextend/alignment.yaml --set training.max_steps=100",
      "          moextend train --stage adapt --method molora --config configs/mov/molora-10.yaml"
    })
final class TrainCommand implements Callable<Integer> {
  @Option(
      names = "--stage",
      required = true,
      paramLabel = "alignment|extension|finetune|pretrain|sft|adapt|pretrain-text|full",
      description = "What trains.")
  private String stage = "";

  @Option(
      names = "--config",
      required = true,
      paramLabel = "FILE",
      description = "YAML; configs/ has one for each stage, every field explained.")
  private Path config = Path.of("");

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description =
          "Changes a field, as --set optimizer.learning_rate=1e-4; may be given several times.")
  private List<String> overrides = List.of();

  @Option(
      names = "--method",
      paramLabel = "ia3|lora|mov|molora|full",
      description =
          "Of stage adapt: what is added to the model, or full to train the model itself; as --set adapter.method=...")
  private @Nullable String method;

  @Option(names = "--quiet", description = "No progress.")
  private boolean quiet;

  @Mixin private final LaunchOptionsMixin launch = new LaunchOptionsMixin();

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    Stage what = Stage.named(stage);
    List<String> changes = changes(what);
    boolean adapts = what == Stage.ADAPT && AdaptConfig.isMeant(config, changes);
    RunConfig how = adapts ? AdaptConfig.read(config, changes) : TrainConfig.read(config, changes);
    if (launch.asked(System.getenv())) {
      Path logs = how.checkpoints().outputDir().resolve("logs");
      return OwnRanks.start(spec, launch, logs, System.out);
    }
    Progress.Display display =
        quiet
            ? Progress.Display.QUIET
            : System.console() != null && System.console().isTerminal()
                ? Progress.Display.TERMINAL
                : Progress.Display.LINES;
    var asked = new AtomicBoolean();
    Signal.handle(new Signal("TERM"), signal -> asked.set(true));
    if (LaunchOptionsMixin.isRank(System.getenv())) {
      // Ctrl-C reaches the whole process group; the launcher passes it on as a SIGTERM
      Signal.handle(new Signal("INT"), signal -> {});
    }
    try (RankGroup group = OwnRanks.join(how.distributed().transport(), asked::get)) {
      Supplier<Trainer.Ending> run =
          switch (how) {
            case AdaptConfig adapt -> new AdaptRun(adapt, group, System.out, display)::run;
            case TrainConfig train -> new TrainingRun(what, train, group, System.out, display)::run;
          };
      return switch (run(run, group)) {
        case DONE -> 0;
        case STOPPED -> ExitCodes.LEFT;
      };
    }
  }

  private List<String> changes(Stage what) {
    if (method == null) {
      return overrides;
    }
    if (what != Stage.ADAPT) {
      throw new ConfigException("--method", method, "is for --stage adapt");
    }
    return Stream.concat(overrides.stream(), Stream.of("adapter.method=" + method)).toList();
  }

  private static Trainer.Ending run(Supplier<Trainer.Ending> run, RankGroup group) {
    try {
      Trainer.Ending ending = run.get();
      group.finished();
      return ending;
    } catch (RuntimeException e) {
      group.failed(e);
      throw e;
    }
  }
}
