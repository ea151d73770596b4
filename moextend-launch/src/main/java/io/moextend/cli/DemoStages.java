package io.moextend.cli;

import io.moextend.checkpoint.FrozenProof;
import io.moextend.data.Talk;
import io.moextend.report.MetricsHistory;
import io.moextend.stage.Stage;
import io.moextend.train.AdapterSection;
import io.moextend.train.CheckpointSection;
import io.moextend.train.DataSection;
import io.moextend.train.DistributedSection;
import io.moextend.train.EvaluationSection;
import io.moextend.train.MetricsLog;
import io.moextend.train.ModelSection;
import io.moextend.train.OptimizerSection;
import io.moextend.train.Progress;
import io.moextend.train.TrainConfig;
import io.moextend.train.TrainingSection;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Trains the demo's stages as {@code moextend train} does, one folder each, in this process or in
 * several. The frozen tower reads each picture once; what it made of it is kept.
 */
final class DemoStages {
  static final int LONGEST = 192;

  private final DemoSettings settings;
  private final Path images;
  private final PrintStream out;

  /**
   * A stage that ran.
   *
   * @param name of its folder, and in the report
   * @param model the whole model it left
   * @param seconds of wall clock, opening and saving counted
   * @param history its metrics, each step
   */
  record Trained(
      String name,
      Stage stage,
      DemoPlan.Steps steps,
      Path model,
      double seconds,
      MetricsHistory history) {
    /** Most bytes the backend had given out; of several ranks, the one that took most. */
    long peakBytes() {
      double own = history.last("memory").orElse(0);
      return (long)
          history.lastList("memory_per_rank").stream().mapToDouble(v -> v).reduce(own, Math::max);
    }

    FrozenProof proof() {
      return FrozenProof.read(model.resolveSibling(FrozenProof.FILE));
    }
  }

  DemoStages(DemoSettings settings, Path images, PrintStream out) {
    this.settings = settings;
    this.images = images;
    this.out = out;
  }

  /**
   * What one stage is told.
   *
   * @param name of its folder, and in the report
   * @param tower of a base that has none; null where it holds its own, or needs none
   * @param template how its samples are written; {@link Talk#AUTO} as the model's kind is
   */
  record Lesson(
      String name,
      Stage stage,
      Path base,
      @Nullable Path tower,
      List<Path> files,
      String template,
      DemoPlan.Steps steps) {
    Lesson {
      files = List.copyOf(files);
    }

    /** In the way its model's kind is spoken to. */
    Lesson(
        String name,
        Stage stage,
        Path base,
        @Nullable Path tower,
        List<Path> files,
        DemoPlan.Steps steps) {
      this(name, stage, base, tower, files, Talk.AUTO, steps);
    }
  }

  Trained train(Lesson lesson) {
    long start = System.nanoTime();
    String name = lesson.name();
    Stage stage = lesson.stage();
    DemoPlan.Steps steps = lesson.steps();
    Path folder = settings.output().resolve(name);
    int each = steps.batch() / settings.ranks();
    var own = new DemoPlan.Steps(steps.count(), each, steps.learningRate());
    var model = new ModelSection(lesson.base(), null, lesson.tower(), null);
    TrainConfig config = config(model, data(lesson.files(), lesson.template()), own, folder);
    if (settings.ranks() > 1) {
      new StageRanks(settings.output(), settings.ranks(), out).train(name, stage, config);
    } else {
      try (RankGroup alone = RankGroup.alone(() -> false)) {
        new TrainingRun(stage, config, alone, out, Progress.Display.LINES).run();
      }
    }
    return new Trained(
        name,
        stage,
        steps,
        FinishedRun.model(folder),
        (System.nanoTime() - start) / 1e9,
        MetricsHistory.read(folder.resolve(MetricsLog.FILE)));
  }

  /** How files are opened to be asked about. */
  TrainConfig asking(ModelSection model, List<Path> files, int rows) {
    Path none = settings.output().resolve("none");
    return config(model, data(files, Talk.AUTO), new DemoPlan.Steps(1, rows, 1), none);
  }

  /**
   * @param steps whose samples are those of one rank
   */
  private TrainConfig config(
      ModelSection model, DataSection data, DemoPlan.Steps steps, Path folder) {
    return new TrainConfig(
        model,
        AdapterSection.none(),
        data,
        new OptimizerSection(
            OptimizerSection.Rule.ADAMW,
            null,
            steps.learningRate(),
            null,
            null,
            0.9,
            0.999,
            1e-8,
            0,
            OptimizerSection.Scheduler.COSINE,
            null,
            0.03,
            0,
            1,
            OptimizerSection.UntouchedParameters.ZERO_GRADIENT),
        new TrainingSection(
            steps.batch(),
            1,
            1,
            steps.count(),
            settings.seed(),
            false,
            settings.dtype(),
            settings.backend(),
            settings.threadsOfRank(),
            TrainingSection.Balance.AUTO,
            null,
            List.of(),
            List.of()),
        new EvaluationSection(0, steps.batch()),
        new CheckpointSection(folder, 0, 1, "none"),
        DistributedSection.usual(),
        Math.max(1, steps.count() / 5));
  }

  private DataSection data(List<Path> files, String template) {
    return new DataSection(
        files,
        images,
        DataSection.Format.AUTO,
        LONGEST,
        DataSection.TooLong.REJECT,
        false,
        1,
        false,
        0,
        List.of(),
        settings.output().resolve("features"),
        false,
        1_000_000,
        template,
        false);
  }
}
