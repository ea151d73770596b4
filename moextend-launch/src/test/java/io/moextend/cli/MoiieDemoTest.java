package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.WeightSource;
import io.moextend.cli.MoiieDemoResults.Rival;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.moe.TokenGroup;
import io.moextend.report.Numbers;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.convert.LogitReceipt;
import io.moextend.train.TrainingSection.ComputeType;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The quick form of the demo, all of it. */
class MoiieDemoTest {
  @TempDir static Path folder;
  private static MoiieDemoResults results;
  private static String report;

  @BeforeAll
  static void runTheQuickDemo() throws IOException {
    var settings = new DemoSettings(folder.resolve("moiie"), "cpu", ComputeType.F32, 2, 42, 1);
    var demo =
        new MoiieDemo(
            settings, MoiieDemoPlan.quick(), new PrintStream(PrintStream.nullOutputStream()));
    results = demo.run();
    report = Files.readString(demo.report());
  }

  private static Rival rival(String name) {
    return results.rivals().stream().filter(r -> r.name().equals(name)).findFirst().orElseThrow();
  }

  private static RoutingStatistics routing(String name) {
    return Objects.requireNonNull(rival(name).routing());
  }

  @Test
  void theFourHaveEqualBudgetsAndAreAskedTheSame() {
    assertThat(results.rivals())
        .extracting(Rival::name)
        .containsExactly("dense", "vanilla MoE", "modality MoE", "MoIIE");
    for (Rival rival : results.rivals()) {
      assertThat(rival.sft().steps()).isEqualTo(MoiieDemoPlan.quick().sft());
      assertThat(rival.sft().history().series("loss", "loss").points()).hasSize(60);
      assertThat(rival.marks().pictures())
          .hasSize(4 * MoiieDemoPlan.quick().sizes().testPictures())
          .extracting(answer -> answer.sample())
          .containsExactlyElementsOf(
              results.connected().pictures().stream().map(answer -> answer.sample()).toList());
    }
  }

  @Test
  void eachLearnsToAnswerAboutPictures() {
    double before = results.connected().pictureAccuracy();
    for (Rival rival : results.rivals()) {
      assertThat(rival.marks().pictureAccuracy()).as(rival.name()).isGreaterThan(before + 0.05);
    }
  }

  /** What a mixture starts from says what the dense model says, so its first loss is the same. */
  @Test
  void aGrownModelStartsWhereTheDenseOneStood() {
    for (Rival rival : results.rivals().subList(1, 4)) {
      LogitReceipt logits = Objects.requireNonNull(rival.logits());
      assertThat(logits.largestDifference())
          .as(rival.name())
          .isLessThan(1e-5 * logits.largestLogit());
    }
    double dense = firstLoss("dense");
    assertThat(firstLoss("modality MoE")).isCloseTo(dense, Offset.offset(1e-5));
    assertThat(firstLoss("vanilla MoE")).isGreaterThan(dense).isLessThan(dense + 0.02);
    assertThat(firstLoss("MoIIE")).isGreaterThan(dense).isLessThan(dense + 0.02);
  }

  private static double firstLoss(String name) {
    return rival(name).sft().history().series("loss", "loss").points().getFirst().y();
  }

  @Test
  void activatedParametersAreThoseOfTheExpertsATokenVisits() {
    long dense = rival("dense").parameters().all();
    assertThat(rival("dense").parameters().activated()).isEqualTo(dense);
    long network = 3L * 64 * 128; // one layer has experts
    assertThat(rival("modality MoE").parameters().all()).isEqualTo(dense + network);
    assertThat(rival("modality MoE").parameters().activated()).isEqualTo(dense);
    long gate = 4 * 64;
    assertThat(rival("vanilla MoE").parameters().all()).isEqualTo(dense + 3 * network + gate);
    assertThat(rival("vanilla MoE").parameters().activated()).isEqualTo(dense + network + gate);
    long gates = 2 * 3 * 64;
    assertThat(rival("MoIIE").parameters().all()).isEqualTo(dense + 3 * network + gates);
    assertThat(rival("MoIIE").parameters().activated()).isEqualTo(dense + network + gates);
  }

  @Test
  void routesAreCountedByModalityAndGroup() {
    assertThat(rival("dense").routing()).isNull();
    assertThat(routing("modality MoE").groupShares(TokenGroup.VISION)).hasSize(1);
    long vision = routing("MoIIE").tokens(TokenGroup.VISION);
    // of 36 patches the last is routed as text
    assertThat(vision).isEqualTo(35L * 4 * MoiieDemoPlan.quick().sizes().testPictures());
    assertThat(routing("vanilla MoE").tokens(TokenGroup.VISION)).isEqualTo(vision);
    assertThat(
            routing("MoIIE").groupShares(TokenGroup.TEXT).values().stream()
                .mapToDouble(v -> v)
                .sum())
        .isCloseTo(100, Offset.offset(1e-6));
  }

  @Test
  void theReportShowsThemSideBySide() {
    assertThat(report)
        .contains("Routing side by side", "Experts of vision tokens", "Of them for a token")
        .contains(">before sft<", ">chance<")
        .contains("vanilla MoE: experts of text tokens", "MoIIE: experts of vision tokens")
        .doesNotContain("http://", "https://", "<script");
    for (Rival rival : results.rivals()) {
      assertThat(report).contains(">" + rival.name() + "<");
      assertThat(report).contains(">" + Numbers.grouped(rival.parameters().activated()) + "<");
    }
  }

  @Test
  void theModelsHaveTheNamesTheyWerePublishedUnder() {
    assertThat(
            results.rivals().stream()
                .map(rival -> HuggingFaceConfig.read(rival.sft().model()).decoder().modelType()))
        .containsExactly("bunny-phi3", "bunny-phi3-moe", "bunny-phi3-m", "bunny-mm-phi3-moe-s");
    try (WeightSource weights = CheckpointFolder.open(rival("MoIIE").sft().model())) {
      assertThat(weights.names())
          .containsAll(
              List.of(
                  "model.layers.1.mlp.gate_vis.weight",
                  "model.layers.1.mlp.experts.3.gate_up_proj.weight",
                  "model.layers.0.mlp.gate_up_proj.weight",
                  "model.mm_projector.0.weight"));
    }
  }
}
