package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.cli.MovDemoResults.Pupil;
import io.moextend.demo.PromptedWorld;
import io.moextend.eval.RankExamination;
import io.moextend.train.AdapterSection.Method;
import io.moextend.train.RandomModel;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The demo of adapters: one small T5, tuned on the same prompts by each of the five methods. */
final class MovDemo {
  private final DemoSettings settings;
  private final MovDemoPlan plan;
  private final PrintStream out;

  MovDemo(DemoSettings settings, MovDemoPlan plan, PrintStream out) {
    settings.requireSharable(plan.stages());
    this.settings = settings;
    this.plan = plan;
    this.out = out;
  }

  /**
   * Trains, examines, and writes report.html into the output folder.
   *
   * @throws io.moextend.config.ConfigException where something stands there already
   */
  MovDemoResults run() {
    var diary = new DemoDiary(out);
    var ground = new DemoGround(settings, diary);
    ground.requireNew();
    PromptedWorld world =
        diary.part(
            "writing prompts",
            () ->
                PromptedWorld.write(
                    settings.output().resolve("data"), settings.seed(), plan.sizes()));
    try (Backend backend = ground.backend()) {
      MovDemoResults results = run(world, backend, diary);
      new MovDemoReport(settings, plan, results).write(report());
      return results;
    }
  }

  private MovDemoResults run(PromptedWorld world, Backend backend, DemoDiary diary) {
    Path blank = DemoGround.blank(settings.output());
    diary.note(
        "computing on %s (%s), %s", backend.name(), backend.device(), settings.dtype().dtype());
    diary.part(
        "random T5",
        () -> {
          RandomModel.write(
              backend,
              plan.model(),
              settings.dtype().dtype(),
              settings.seed(),
              List.of(world.tokenizer()),
              blank);
          return blank;
        });
    var school = new MovDemoSchool(settings, world, backend, out);
    Trained base =
        diary.part(
            "pretraining",
            () ->
                school.train(
                    "pretrained", Method.FULL, blank, world.pretraining(), plan.pretrain()));
    RankExamination.Result before = marks(diary, school, "the base", base.model(), null);
    long whole = numbers(base.model());
    var pupils = new ArrayList<Pupil>();
    for (Map.Entry<Method, DemoPlan.Steps> each : plan.methods()) {
      Method method = each.getKey();
      Trained run =
          diary.part(
              method.word(),
              () ->
                  school.train(
                      method.word(), method, base.model(), world.adaptation(), each.getValue()));
      boolean adds = method.adds();
      RankExamination.Result marks =
          marks(
              diary,
              school,
              method.word(),
              adds ? base.model() : run.model(),
              adds ? run.model() : null);
      long trained = numbers(run.model());
      pupils.add(new Pupil(method, run, marks, trained, (double) trained / whole));
    }
    return new MovDemoResults(
        base,
        before,
        pupils,
        diary.parts(),
        diary.seconds(),
        backend.name() + ", " + backend.device());
  }

  private static RankExamination.Result marks(
      DemoDiary diary, MovDemoSchool school, String name, Path base, @Nullable Path adapter) {
    RankExamination.Result marks =
        diary.part("asking: " + name, () -> school.examine(base, adapter));
    diary.note("%s: %.1f %% of questions in new words", name, marks.averages().average());
    return marks;
  }

  /** How many numbers the weights in a folder are, of a whole model or of adapters. */
  private static long numbers(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      long sum = 0;
      for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList()) {
        try (WeightSource weights = SafetensorsFile.open(file)) {
          for (String name : weights.names()) {
            sum += Arrays.stream(weights.tensor(name).shape()).reduce(1, Math::multiplyExact);
          }
        }
      }
      return sum;
    } catch (IOException e) {
      throw new UncheckedIOException(folder + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** Where the report is. */
  Path report() {
    return settings.output().resolve("report.html");
  }
}
