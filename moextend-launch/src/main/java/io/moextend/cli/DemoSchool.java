package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.cli.DemoExamination.Marks;
import io.moextend.cli.DemoStages.Lesson;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.demo.DemoData;
import java.io.PrintStream;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Trains and asks a demo's models, and says in the diary how that went. */
final class DemoSchool {
  private final DemoDiary diary;
  private final DemoStages stages;
  private final DemoExamination examination;

  DemoSchool(
      DemoSettings settings, DemoData world, Backend backend, DemoDiary diary, PrintStream out) {
    this.diary = diary;
    this.stages = new DemoStages(settings, world.root(), out);
    this.examination = new DemoExamination(settings, stages, world, backend);
  }

  Trained train(Lesson lesson) {
    return diary.part(lesson.name(), () -> stages.train(lesson));
  }

  /**
   * @param tower of a base that has none yet; null where it holds its own
   */
  Marks examine(String name, Path model, @Nullable Path tower) {
    Marks reached = diary.part("asking: " + name, () -> examination.examine(name, model, tower));
    diary.note(
        "%s: %.1f %% of picture questions, %.1f %% of text questions, text perplexity %.3f",
        name,
        100 * reached.pictureAccuracy(),
        100 * reached.textAccuracy(),
        reached.text().value());
    return reached;
  }

  DemoExamination examination() {
    return examination;
  }
}
