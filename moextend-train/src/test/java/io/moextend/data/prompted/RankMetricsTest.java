package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.data.DataException;
import io.moextend.data.prompted.MedianAverage.Prompt;
import io.moextend.data.prompted.RankedExample.Scored;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Figures of scikit-learn 1.9.1: accuracy_score and fbeta_score (macro) on indicators, f1_score,
 * roc_auc_score, average_precision_score, times 100.
 */
class RankMetricsTest {
  private static final Offset<Double> CLOSE = within(1e-6);

  private static final double[][] TWO = {
    {-1, -2.5},
    {-3, -0.5},
    {-2, -2},
    {-4.5, -1.25},
    {-0.25, -6},
    {-1.5, -1},
    {-2, -2},
    {-7, -1.5},
    {-30, -1},
    {-50, -2}
  };
  private static final int[] TWO_LABELS = {0, 1, 1, 0, 0, 1, 0, 1, 0, 1};

  private static final double[][] THREE = {
    {-1, -2, -3},
    {-2, -1, -3},
    {-3, -2, -1},
    {-1, -1, -1},
    {-5, -4, -4.5},
    {-2.5, -3, -0.5},
    {-1, -9, -9}
  };
  private static final int[] THREE_LABELS = {0, 1, 1, 2, 1, 2, 0};

  private static List<RankedExample> examples(double[][] scores, int[] labels, double... weights) {
    var rows = new ArrayList<Scored>();
    for (int e = 0; e < scores.length; e++) {
      for (int c = 0; c < scores[e].length; c++) {
        double weight = weights.length == 0 ? 1 : weights[e];
        rows.add(new Scored(e, c, c == labels[e], weight, scores[e][c]));
      }
    }
    Collections.shuffle(rows, new Random(3));
    return RankedExample.group(rows);
  }

  @Test
  void twoClassesHaveF1AndAreasUnderTheirCurves() {
    RankMetrics metrics = RankMetrics.of(examples(TWO, TWO_LABELS), 2);
    assertThat(metrics.values().keySet()).containsExactly("accuracy", "f1", "auc-roc", "auc-pr");
    assertThat(metrics.accuracy()).isCloseTo(70, CLOSE);
    assertThat(metrics.values().get("f1")).isCloseTo(72.72727272727273, CLOSE);
    assertThat(metrics.values().get("auc-roc")).isCloseTo(68, CLOSE);
    assertThat(metrics.values().get("auc-pr")).isCloseTo(61.16666666666666, CLOSE);
  }

  @Test
  void weightsCountInEveryFigure() {
    RankMetrics two = RankMetrics.of(examples(TWO, TWO_LABELS, 1, .5, 2, 1, 1, .25, 3, 1, 1, 1), 2);
    assertThat(two.accuracy()).isCloseTo(65.95744680851064, CLOSE);
    assertThat(two.values().get("f1")).isCloseTo(57.89473684210527, CLOSE);
    assertThat(two.values().get("auc-roc")).isCloseTo(69.92481203007519, CLOSE);
    assertThat(two.values().get("auc-pr")).isCloseTo(53.969268650709104, CLOSE);
    RankMetrics three = RankMetrics.of(examples(THREE, THREE_LABELS, 1, 2, .5, 1, 1, 3, 1), 3);
    assertThat(three.accuracy()).isCloseTo(84.21052631578947, CLOSE);
    assertThat(three.values().get("mean_3class_f1")).isCloseTo(84.1025641025641, CLOSE);
  }

  @Test
  void moreClassesHaveAMeanF1AndTiesGoToTheFirst() {
    RankMetrics metrics = RankMetrics.of(examples(THREE, THREE_LABELS), 3);
    assertThat(metrics.values().keySet()).containsExactly("accuracy", "mean_3class_f1");
    assertThat(metrics.accuracy()).isCloseTo(71.42857142857143, CLOSE);
    assertThat(metrics.values().get("mean_3class_f1")).isCloseTo(70, CLOSE);
    assertThat(examples(THREE, THREE_LABELS).get(3).prediction()).isZero();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"t5_base", "ia3", "lora", "mov", "molora", "molora_init", "mov_init", "mov_top2"})
  void theOriginalsFiguresAreFound(String name) throws IOException {
    JsonNode meta =
        new ObjectMapper()
            .readTree(Files.readString(Golden.path("mov/" + name + "/meta.json")))
            .get("score");
    int[] labels = {0, 1, 0}; // score.is_correct of every case
    var rows = new ArrayList<Scored>();
    for (int i = 0; i < 9; i++) {
      double score = meta.get("scores").get(i / 3).get(i % 3).asDouble();
      rows.add(new Scored(i / 3, i % 3, i % 3 == labels[i / 3], 1, score));
    }
    List<RankedExample> examples = RankedExample.group(rows);
    for (int i = 0; i < 3; i++) {
      assertThat(examples.get(i).prediction()).isEqualTo(meta.get("predictions").get(i).asInt());
    }
    assertThat(RankMetrics.of(examples, null).values()).containsOnlyKeys("accuracy");
    assertThat(RankMetrics.of(examples, null).accuracy())
        .isCloseTo(meta.get("metrics_num_classes_none").get("accuracy").asDouble(), CLOSE);
    RankMetrics fixed = RankMetrics.of(examples, 3);
    JsonNode wanted = meta.get("metrics_num_classes_3");
    assertThat(fixed.values()).containsOnlyKeys("accuracy", "mean_3class_f1");
    fixed.values().forEach((k, v) -> assertThat(v).isCloseTo(wanted.get(k).asDouble(), CLOSE));
  }

  @Test
  void anyOfSeveralRightChoicesWillDo() {
    var rows =
        List.of(
            new Scored(0, 0, true, 1, -3),
            new Scored(0, 1, true, 1, -1),
            new Scored(1, 0, false, 1, -1),
            new Scored(1, 1, true, 1, -3));
    RankMetrics metrics = RankMetrics.of(RankedExample.group(rows), 2);
    assertThat(metrics.values()).containsOnlyKeys("accuracy");
    assertThat(metrics.accuracy()).isEqualTo(50);
  }

  @Test
  void anExampleWithoutARightChoiceIsWrongAndCounted() {
    var rows = List.of(new Scored(0, 0, false, 1, -1), new Scored(0, 1, false, 1, -2));
    RankMetrics metrics = RankMetrics.of(RankedExample.group(rows), 2);
    assertThat(metrics.accuracy()).isZero();
    assertThat(metrics.withoutAnswer()).isOne();
    assertThat(metrics.values().get("auc-roc")).isNaN();
  }

  @Test
  void aChoiceThatIsThereTwiceOrMissingIsRefused() {
    var once = new Scored(4, 0, true, 1, -1);
    assertThatThrownBy(() -> RankedExample.group(List.of(once, once)))
        .isInstanceOf(DataException.class)
        .hasMessage("example 4: choice 0 is there twice; score every choice once");
    assertThatThrownBy(() -> RankedExample.group(List.of(once, new Scored(4, 2, false, 1, -1))))
        .hasMessage("example 4: choice 1 is there not at all; score every choice once");
    assertThatThrownBy(() -> RankMetrics.of(RankedExample.group(List.of(once)), 2))
        .hasMessage("example 4 has 1 choices where the task has 2 classes");
    assertThatThrownBy(() -> RankedExample.group(List.of(new Scored(4, 0, true, 1, Double.NaN))))
        .hasMessageContaining("is no number");
  }

  @Test
  void filesOfOneGroupArePromptsOfOneDataset() {
    var prompts = new ArrayList<Prompt>();
    for (double accuracy : new double[] {10, 90, 80}) {
      var entry =
          new TaskList.Entry(
              "p" + accuracy, null, null, null, 2, "topic", null, List.of("f"), null);
      prompts.add(Prompt.of(new TaskList.Task(entry.name(), entry, List.of(), 1), accuracy));
    }
    assertThat(MedianAverage.of(prompts).datasets()).containsExactly(Map.entry("topic", 80.0));
  }

  @Test
  void anAverageIsTheMeanOfGroupsOverMediansOfPrompts() {
    var prompts =
        List.of(
            new Prompt("anli", "anli/r1", "a", 30),
            new Prompt("anli", "anli/r1", "b", 50),
            new Prompt("anli", "anli/r1", "c", 33),
            new Prompt("anli", "anli/r2", "a", 36),
            new Prompt("copa", "copa", "a", 70),
            new Prompt("copa", "copa", "b", 80),
            new Prompt("copa", "copa", "c", 10),
            new Prompt("copa", "copa", "d", 90));
    MedianAverage average = MedianAverage.of(prompts);
    assertThat(average.datasets()).containsEntry("anli/r1", 33.0).containsEntry("copa", 75.0);
    assertThat(average.groups()).containsEntry("anli", 34.5).hasSize(2);
    assertThat(average.average()).isEqualTo(54.75);
    assertThatThrownBy(() -> MedianAverage.of(List.of(prompts.getFirst(), prompts.getFirst())))
        .hasMessage("a of anli/r1 is there twice");
  }
}
