package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.config.ConfigException;
import io.moextend.report.RanksReport;
import io.moextend.report.RanksReport.Exchanges;
import io.moextend.stage.Stage;
import io.moextend.train.TrainingSection.ComputeType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The quick demo with each training stage on two processes. */
@Timeout(600)
class DemoRanksTest {
  private static final int RANKS = 2;

  @TempDir static Path folder;
  private static DemoResults results;
  private static String said;
  private static String report;

  @BeforeAll
  static void runTheQuickDemo() throws IOException {
    var heard = new ByteArrayOutputStream();
    var run =
        new DemoRun(
            settings("quick", RANKS),
            DemoPlan.quick(),
            new PrintStream(heard, true, StandardCharsets.UTF_8));
    results = run.run();
    said = heard.toString(StandardCharsets.UTF_8);
    report = Files.readString(run.report());
  }

  private static DemoSettings settings(String name, int ranks) {
    return new DemoSettings(folder.resolve(name), "cpu", ComputeType.F32, RANKS, 42, ranks);
  }

  @Test
  void everyStageSaysWhatEachRankHeldAndWhatTheirExchangesTook() {
    assertThat(results.stages()).hasSize(5);
    for (DemoStages.Trained stage : results.stages()) {
      List<Double> memory = stage.history().lastList("memory_per_rank");
      assertThat(memory).as(stage.name()).hasSize(RANKS).allMatch(bytes -> bytes > 0);
      Exchanges exchanges = Exchanges.of(stage.history());
      assertThat(exchanges.seconds()).as(stage.name()).isPositive();
      assertThat(exchanges.shareOfSteps()).as(stage.name()).isBetween(0.0, 1.0);
      for (String megabytes : RanksReport.megabytes(stage.history())) {
        assertThat(report).contains(">" + megabytes + "<");
      }
    }
    assertThat(report).contains(">Rank 0, MB<", ">Rank 1, MB<", ">Waited for, s<");
    assertThat(new DemoRanks(RANKS, results.stages()).lines()).hasSize(5);
  }

  @Test
  void theModelLearnsAsInOneProcess() {
    double before = results.marks(DemoChain.PRETRAINED).pictureAccuracy();
    assertThat(results.marks(DemoChain.EXTENDED).pictureAccuracy()).isGreaterThan(before + 0.05);
    assertThat(results.frozen().moved()).isEmpty();
    assertThat(results.drift(DemoChain.FULL)).isGreaterThan(results.drift(DemoChain.EXTENDED));
  }

  @Test
  void whatARankSaysIsShownWithItsNumberAndKept() {
    assertThat(said).contains("[rank 0] pretrain-text on ");
    for (DemoStages.Trained stage : results.stages()) {
      Path output = folder.resolve("quick").resolve(stage.name());
      assertThat(output.resolve("logs/generation-0/rank-0.log")).isNotEmptyFile();
      assertThat(output.resolve("logs/generation-0/rank-1.log")).exists();
      assertThat(output.resolveSibling(stage.name() + ".yaml")).isNotEmptyFile();
    }
  }

  @Test
  void theReportOfAStageShowsItsRanks() throws IOException {
    String own = Files.readString(folder.resolve("quick/finetune/report.html"));
    assertThat(own)
        .contains(">Ranks<", "over shared memory", ">rank 0<", ">rank 1<", ">Exposed<")
        .contains("each rank holds its share of the optimizer&#39;s state");
  }

  @Test
  void aStageThatFailsEndsWithItsCodeAndSaysWhereItsLogsAre() throws IOException {
    DemoSettings settings = settings("failing", RANKS);
    Files.createDirectories(settings.output());
    var silent = new PrintStream(PrintStream.nullOutputStream());
    var stages = new DemoStages(settings, results.data().root(), silent);
    Path missing = folder.resolve("nothing-here");
    List<Path> files = List.of(results.data().trainDialogues());
    assertThatThrownBy(
            () ->
                stages.train(
                    new DemoStages.Lesson(
                        "pretrain-text",
                        Stage.PRETRAIN_TEXT,
                        missing,
                        null,
                        files,
                        new DemoPlan.Steps(2, 16, 1e-3))))
        .isInstanceOfSatisfying(StageFailedException.class, e -> assertThat(e.code()).isEqualTo(2))
        .hasMessageContaining("stage pretrain-text ended with code 2")
        .hasMessageContaining(settings.output().resolve("pretrain-text/logs").toString());
    var err = new StringWriter();
    int code = Faults.report(new StageFailedException(5, "stage x"), new PrintWriter(err), false);
    assertThat(code).isEqualTo(5);
    assertThat(err.toString()).isEqualTo("moextend: stage x" + System.lineSeparator());
  }

  @Test
  void ranksThatCannotShareTheSamplesOfAStepAreRefused() {
    assertThatThrownBy(() -> settings("three", 3).requireSharable(DemoPlan.quick().stages()))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("--nproc-per-node=3")
        .hasMessageContaining("16 samples");
    assertThatThrownBy(() -> settings("none", 0))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("must be at least 1");
  }
}
