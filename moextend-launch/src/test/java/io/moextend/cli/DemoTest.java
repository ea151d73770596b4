package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.demo.DemoData;
import io.moextend.report.LineChart.Point;
import io.moextend.stage.Stage;
import io.moextend.train.RandomModel;
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
import org.junit.jupiter.api.io.TempDir;

/** The quick demo once, and what it claims. */
class DemoTest {
  private static final int THREADS = 2;

  @TempDir static Path folder;
  private static DemoResults results;
  private static String said;
  private static String report;

  @BeforeAll
  static void runTheQuickDemo() throws IOException {
    var heard = new ByteArrayOutputStream();
    var settings = settings("quick", ComputeType.F32);
    var run =
        new DemoRun(
            settings, DemoPlan.quick(), new PrintStream(heard, true, StandardCharsets.UTF_8));
    results = run.run();
    said = heard.toString(StandardCharsets.UTF_8);
    report = Files.readString(run.report());
  }

  private static DemoSettings settings(String name, ComputeType dtype) {
    return new DemoSettings(folder.resolve(name), "cpu", dtype, THREADS, 42, 1);
  }

  @Test
  void everyStageRunsAndEveryModelIsAsked() {
    assertThat(results.stages())
        .extracting(DemoStages.Trained::name)
        .containsExactly("pretrain-text", "alignment", "extension", "finetune", "full");
    assertThat(results.marks())
        .hasSize(6)
        .allSatisfy(
            marks -> {
              assertThat(marks.pictures()).hasSize(4 * DemoPlan.quick().sizes().testPictures());
              assertThat(marks.text().value()).isBetween(1.0, 1000.0);
            });
    assertThat(said).contains("expert-distribution", "init-expert", "asking: extended");
  }

  @Test
  void theModelAnswersMoreAboutUnseenPicturesThanBefore() {
    double before = results.marks(DemoChain.PRETRAINED).pictureAccuracy();
    double after = results.marks(DemoChain.EXTENDED).pictureAccuracy();
    assertThat(after).isGreaterThan(before + 0.05);
  }

  @Test
  void fullFinetuningForgetsMoreThanNewExperts() {
    assertThat(results.drift(DemoChain.FULL)).isGreaterThan(results.drift(DemoChain.EXTENDED));
  }

  @Test
  void whatWasFrozenDidNotMoveAndOfTheOldModelOnlyRoutersDid() {
    assertThat(results.frozen().tensors()).isGreaterThan(20);
    assertThat(results.frozen().moved()).isEmpty();
    assertThat(results.frozen().changed())
        .hasSize(DemoPlan.quick().layers())
        .allSatisfy(d -> assertThat(d.name()).endsWith(".block_sparse_moe.gate.weight"));
    assertThat(results.receipt().masked()).isZero();
  }

  @Test
  void theReportHasItsSectionsAndNeedsNothingBesideIt() {
    assertThat(report)
        .contains(
            ">Overview<",
            ">Seeing<",
            ">Language<",
            ">Loss curves<",
            ">Layers and donors<",
            ">Where the routing moved<",
            ">Before and after<",
            ">Frozen proof<",
            ">Time and memory<",
            ">Settings<",
            "data:image/png",
            "chance",
            results.frozen().fingerprint())
        .doesNotContain("http://", "https://", "<script");
  }

  @Test
  void verifyRepeatsTheProof() {
    var out = new StringWriter();
    String model = results.stage("finetune").model().toString();
    int code = MoExtend.run(new PrintWriter(out), new PrintWriter(out), "verify", "--model", model);
    assertThat(out.toString()).contains("byte for byte");
    assertThat(code).isZero();
  }

  @Test
  void aFolderThatHoldsADemoIsNotWrittenIntoAgain() {
    var err = new StringWriter();
    String output = folder.resolve("quick").toString();
    int code =
        MoExtend.run(
            new PrintWriter(new StringWriter()), new PrintWriter(err), "demo", "--output", output);
    assertThat(code).isEqualTo(2);
    assertThat(err.toString())
        .contains("--output=" + output + ": is not empty; remove it, or name another folder");
  }

  @Test
  void aWrongTypeIsTheUsersFault() {
    var err = new StringWriter();
    int code =
        MoExtend.run(
            new PrintWriter(new StringWriter()), new PrintWriter(err), "demo", "--dtype", "f8");
    assertThat(code).isEqualTo(2);
    assertThat(err.toString()).contains("--dtype").contains("known are bf16 and f32");
  }

  @Test
  void bf16LosesWithinOnePercentOfF32OverFiftySteps() {
    List<Point> wide = losses(ComputeType.F32);
    List<Point> narrow = losses(ComputeType.BF16);
    assertThat(wide).hasSize(50);
    assertThat(mean(narrow)).isCloseTo(mean(wide), within(0.01 * mean(wide)));
    List<Point> end = wide.subList(40, 50);
    assertThat(mean(narrow.subList(40, 50))).isCloseTo(mean(end), within(0.01 * mean(end)));
  }

  /** Fifty steps of pretraining from the same weights over the same samples. */
  private static List<Point> losses(ComputeType dtype) {
    DemoSettings settings = settings(dtype.name(), dtype);
    Path blank = settings.output().resolve("blank");
    DemoData data = results.data();
    var options = new BackendProvider.Options(THREADS, 0);
    try (Backend backend = Backends.open("cpu", options, ComputeType.F32.dtype())) {
      RandomModel.write(
          backend,
          DemoPlan.quick().languageModel(),
          ComputeType.F32.dtype(),
          settings.seed(),
          List.of(data.tokenizer()),
          blank);
    }
    var stages =
        new DemoStages(
            settings,
            data.root(),
            new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8));
    return stages
        .train(
            new DemoStages.Lesson(
                "pretrain-text",
                Stage.PRETRAIN_TEXT,
                blank,
                null,
                List.of(data.trainDialogues(), data.trainStatements()),
                new DemoPlan.Steps(50, 16, 3e-3)))
        .history()
        .series("loss", "loss")
        .points();
  }

  private static double mean(List<Point> losses) {
    return losses.stream().mapToDouble(Point::y).average().orElseThrow();
  }
}
