package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.data.prompted.TaskList;
import io.moextend.demo.PromptedWorld;
import io.moextend.eval.AdaptedT5;
import io.moextend.eval.RankExamination;
import io.moextend.report.MetricsHistory;
import io.moextend.stage.Stage;
import io.moextend.text.Tokenizer;
import io.moextend.train.AdaptConfig;
import io.moextend.train.AdaptTraining;
import io.moextend.train.AdapterSection;
import io.moextend.train.AdapterSection.Method;
import io.moextend.train.CheckpointSection;
import io.moextend.train.DistributedSection;
import io.moextend.train.EvaluationSection;
import io.moextend.train.MetricsLog;
import io.moextend.train.OptimizerSection;
import io.moextend.train.Progress;
import io.moextend.train.PromptedSection;
import java.io.PrintStream;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Trains a demo's T5 as {@code moextend train --stage adapt} does, and examines it. */
record MovDemoSchool(DemoSettings settings, PromptedWorld world, Backend backend, PrintStream out) {
  /**
   * @param name of its folder, and in the report
   * @param tasks list of what is learnt
   */
  Trained train(String name, Method method, Path base, Path tasks, DemoPlan.Steps steps) {
    long start = System.nanoTime();
    Path folder = settings.output().resolve(name);
    int each = steps.batch() / settings.ranks();
    AdaptConfig config = config(method, base, tasks, steps, each, folder);
    if (settings.ranks() > 1) {
      new StageRanks(settings.output(), settings.ranks(), out).train(name, Stage.ADAPT, config);
    } else {
      try (RankGroup alone = RankGroup.alone(() -> false)) {
        new AdaptRun(config, alone, out, Progress.Display.LINES).run();
      }
    }
    return new Trained(
        name,
        Stage.ADAPT,
        steps,
        FinishedRun.model(folder),
        (System.nanoTime() - start) / 1e9,
        MetricsHistory.read(folder.resolve(MetricsLog.FILE)));
  }

  private AdaptConfig config(
      Method method, Path base, Path tasks, DemoPlan.Steps steps, int rows, Path folder) {
    return new AdaptConfig(
        new AdaptConfig.Model(base, null, null),
        new AdapterSection(method, MovDemoPlan.EXPERTS, MovDemoPlan.RANK, 16, null, 0, 0, 0, null),
        new PromptedSection(tasks, null, null, MovDemoPlan.LENGTH, MovDemoPlan.TARGET, false, 1),
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
            0.05,
            0,
            1,
            OptimizerSection.UntouchedParameters.ZERO_GRADIENT),
        new AdaptTraining(
            rows,
            1,
            steps.count(),
            settings.seed(),
            false,
            settings.dtype(),
            settings.backend(),
            settings.threadsOfRank(),
            0,
            1e-4,
            0,
            AdaptTraining.Normalizer.AVERAGE_PER_SEQUENCE),
        new EvaluationSection(0, rows),
        new CheckpointSection(folder, 0, 1, "none"),
        DistributedSection.usual(),
        Math.max(1, steps.count() / 4));
  }

  /**
   * Asks in words that nothing was learnt from.
   *
   * @param adapter folder of what was trained beside {@code base}; null for the base alone
   */
  RankExamination.Result examine(Path base, @Nullable Path adapter) {
    try (AdaptedT5 model = AdaptedT5.open(base, adapter, backend, settings.dtype().dtype());
        Tokenizer tokenizer = Tokenizer.open(world.tokenizer())) {
      var how = new RankExamination.Settings(128, MovDemoPlan.LENGTH, MovDemoPlan.TARGET, null);
      return new RankExamination(backend, model.model(), tokenizer, how)
          .run(
              TaskList.read(world.examination(), null),
              world.root(),
              (task, tasks, name, choices) -> {});
    }
  }
}
