package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.cli.MovDemoResults.Pupil;
import io.moextend.report.Numbers;
import io.moextend.train.AdapterSection.Method;
import io.moextend.train.TrainingSection.ComputeType;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The quick form of the adapters' demo, all of it. */
class MovDemoTest {
  @TempDir static Path folder;
  private static MovDemoResults results;
  private static String report;

  @BeforeAll
  static void runTheQuickDemo() throws IOException {
    var settings = new DemoSettings(folder.resolve("mov"), "cpu", ComputeType.F32, 2, 42, 1);
    var demo =
        new MovDemo(settings, MovDemoPlan.quick(), new PrintStream(PrintStream.nullOutputStream()));
    results = demo.run();
    report = Files.readString(demo.report());
  }

  private static Pupil pupil(Method method) {
    return results.pupils().stream().filter(p -> p.method() == method).findFirst().orElseThrow();
  }

  @Test
  void theFiveMethodsStartFromOneBaseAndAreAskedTheSame() {
    assertThat(results.pupils())
        .extracting(Pupil::method)
        .containsExactly(Method.IA3, Method.LORA, Method.MOV, Method.MOLORA, Method.FULL);
    int asked = results.before().tasks().size();
    assertThat(asked).isPositive();
    for (Pupil pupil : results.pupils()) {
      int steps =
          MovDemoPlan.quick()
              .steps()
              .getOrDefault(pupil.method(), results.pretrained().steps())
              .count();
      assertThat(pupil.run().history().series("loss", "loss").points()).hasSize(steps);
      assertThat(pupil.marks().tasks()).hasSize(asked);
      assertThat(pupil.accuracy()).isBetween(0.0, 1.0);
    }
  }

  @Test
  void eachLearnsSomething() {
    for (Pupil pupil : results.pupils()) {
      var losses = pupil.run().history().series("loss", "loss").points();
      assertThat(losses.getLast().y())
          .as(pupil.method().word())
          .isLessThan(0.98 * losses.getFirst().y());
    }
  }

  @Test
  void theShareThatTrainsGrowsFromVectorsToTheWholeModel() {
    assertThat(pupil(Method.IA3).share()).isLessThan(pupil(Method.MOV).share());
    assertThat(pupil(Method.LORA).share()).isLessThan(pupil(Method.MOLORA).share());
    assertThat(pupil(Method.IA3).trained()).isLessThan(pupil(Method.LORA).trained());
    assertThat(pupil(Method.FULL).share()).isEqualTo(1);
  }

  @Test
  void eachLeavesFilesThatOthersRead() {
    for (Pupil pupil : results.pupils()) {
      Path model = pupil.run().model();
      boolean peft = pupil.method() == Method.IA3 || pupil.method() == Method.LORA;
      assertThat(PeftFolder.isIn(model)).as(model.toString()).isEqualTo(peft);
      assertThat(AdapterFolder.isIn(model)).isEqualTo(pupil.method().routes());
    }
    assertThat(pupil(Method.FULL).run().model().resolve("config.json")).exists();
  }

  @Test
  void theReportShowsThemSideBySide() {
    assertThat(report).doesNotContain("http://", "https://", "<script");
    for (Pupil pupil : results.pupils()) {
      assertThat(report).contains(Numbers.grouped(pupil.trained()));
    }
  }
}
