package io.moextend.cli;

import io.moextend.stage.Stage;
import io.moextend.train.Progress;
import io.moextend.train.TrainConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** One stage of training. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    description = {
      "Trains one stage: alignment (the projector), extension (the routers), finetune (new experts, their gates and calibrations,",
      "and the projector); pretrain and full train everything but the vision tower. Writes OUT/model, metrics.jsonl, report.html,",
      "frozen.json and checkpoints; a run that was cut off goes on with checkpoints.resume_from_checkpoint=auto."
    },
    footer = {
      "",
      "Example:  moextend train --stage alignment --config configs/moextend/alignment.yaml --set training.max_steps=100"
    })
final class TrainCommand implements Callable<Integer> {
  @Option(
      names = "--stage",
      required = true,
      paramLabel = "alignment|extension|finetune|pretrain|full",
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

  @Option(names = "--quiet", description = "No progress.")
  private boolean quiet;

  @Override
  public Integer call() {
    Progress.Display display =
        quiet
            ? Progress.Display.QUIET
            : System.console() != null && System.console().isTerminal()
                ? Progress.Display.TERMINAL
                : Progress.Display.LINES;
    new TrainingRun(Stage.named(stage), TrainConfig.read(config, overrides), System.out, display)
        .run();
    return 0;
  }
}
