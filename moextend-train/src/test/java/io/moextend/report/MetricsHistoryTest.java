package io.moextend.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsHistoryTest {
  @TempDir Path folder;

  @Test
  void afterARestartTheSecondTimeOfAStepCounts() throws IOException {
    MetricsHistory log =
        read(
            """
            {"step":1,"loss":3.0}
            {"step":2,"loss":2.5}
            {"step":3,"loss":9.0}
            {"step":3,"loss":2.0,"note":"again"}
            """);
    assertThat(log.repeatedSteps()).isEqualTo(1);
    assertThat(log.series("loss", "loss").points())
        .extracting(LineChart.Point::y)
        .containsExactly(3.0, 2.5, 2.0);
    assertThat(log.last("loss")).hasValue(2.0);
    assertThat(log.median("loss")).hasValue(2.5);
    assertThat(log.has("note")).isFalse();
  }

  @Test
  void trainingAndEvaluationOfOneStepAreOneRow() throws IOException {
    MetricsHistory log =
        read(
            """
            {"step":1,"loss":3.0}
            {"step":2,"loss":2.5}
            {"step":2,"eval_loss":2.75}
            {"step":3,"loss":2.0}
            """);
    assertThat(log.repeatedSteps()).isZero();
    assertThat(log.series("loss", "loss").points()).hasSize(3);
    assertThat(log.series("eval_loss", "").points()).containsExactly(new LineChart.Point(2, 2.75));
    assertThat(report(log)).contains("Loss on held-out samples");
  }

  @Test
  void aLineCutShortByACrashIsLeftOutAndSaid() throws IOException {
    MetricsHistory log = read("{\"step\":1,\"loss\":3.0}\n{\"step\":2,\"lo");
    assertThat(log.rows()).hasSize(1);
    assertThat(log.cutLines()).isEqualTo(1);
    assertThat(report(log)).contains("The last line of the log was cut short");
  }

  @Test
  void aBrokenLineInTheMiddleIsRefusedByItsNumber() {
    assertThatThrownBy(() -> read("{\"step\":1}\n{\"st\n{\"step\":3}\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("metrics.jsonl:2: no JSON");
    assertThatThrownBy(() -> read("{\"step\":1}\n{\"loss\":2}\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("metrics.jsonl:2 step=")
        .hasMessageContaining("a whole number step");
  }

  @Test
  void aRunsReportHasItsFiguresCurvesAndSettings() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int step = 1; step <= 120; step++) {
      lines.append(
          "{\"step\":%d,\"loss\":%s,\"lm_loss\":%s,\"aux_loss\":2.0,\"grad_norm\":0.5,\"learning_rate\":0.001,\"tokens_per_s\":5000,\"samples\":%d}\n"
              .formatted(step, 100.0 / step, 99.0 / step, step * 8));
    }
    String html = report(read(lines.toString()));
    assertThat(html)
        .contains("<dt>Last step</dt><dd>120</dd>", "<dt>Samples</dt><dd>960</dd>")
        .contains("Gradient norm before clipping", "grad_norm (log)", "running mean")
        .contains("learningRate", "1.0e-3");
  }

  @Test
  void aListWithAValueForEachRankIsKeptAndShown() throws IOException {
    MetricsHistory log =
        read(
            """
            {"step":1,"memory_per_rank":[1500000,2500000],"communication_s":1.0,"communication_exposed_s":0.5,"step_s":4.0}
            {"step":2,"memory_per_rank":[1600000,2700000],"communication_s":2.0,"communication_exposed_s":0.25,"step_s":3.5}
            {"step":2,"eval_loss":2.75,"words":["a"]}
            """);
    assertThat(log.lastList("memory_per_rank")).containsExactly(1_600_000.0, 2_700_000.0);
    assertThat(log.lastList("words")).isEmpty();
    assertThat(log.has("memory_per_rank")).isFalse();
    assertThat(log.total("communication_s")).isEqualTo(3.0);
    assertThat(RanksReport.Exchanges.of(log))
        .isEqualTo(new RanksReport.Exchanges(3.0, 0.75, 7.5))
        .satisfies(e -> assertThat(e.exposedShare()).isEqualTo(0.25))
        .satisfies(e -> assertThat(e.shareOfSteps()).isEqualTo(0.1));
    Section ranks = RanksReport.section(log, 2, 1, "shared memory");
    assertThat(TrainingReport.of("Run", "", log, Map.of(), List.of(ranks)).html())
        .contains(
            ">rank 1<", ">2.7<", "over shared memory", "<dd>25.0 %</dd>", "10.0 % of the steps");
  }

  @Test
  void anEmptyLogStillMakesAReport() throws IOException {
    assertThat(report(read(""))).contains("<dd>0</dd>", "Nothing was recorded.");
  }

  @Test
  void theRunningMeanOfALineWithoutNoiseIsTheLine() {
    List<LineChart.Point> points =
        IntStream.range(0, 200).mapToObj(i -> new LineChart.Point(i, 2.0 * i)).toList();
    List<LineChart.Point> smooth = TrainingReport.smooth(points);
    assertThat(smooth).hasSize(200);
    assertThat(smooth.subList(5, 195)).isEqualTo(points.subList(5, 195));
    assertThat(smooth.getLast().y()).isLessThan(points.getLast().y());
  }

  private MetricsHistory read(String text) throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    Files.writeString(file, text);
    return MetricsHistory.read(file);
  }

  private static String report(MetricsHistory log) {
    return TrainingReport.of("Run", "", log, Map.of("learningRate", "1.0e-3"), List.of()).html();
  }
}
