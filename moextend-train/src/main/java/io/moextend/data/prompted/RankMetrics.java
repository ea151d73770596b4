package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * How well choices are ranked, as T5's evaluation counts it. All figures but the number of examples
 * are times 100.
 *
 * @param examples number of them
 * @param withoutAnswer examples none of whose choices is right; they count as wrong
 * @param values "accuracy" always; with 2 fixed classes "f1" (of class 1), "auc-roc" and "auc-pr"
 *     by the softmax over both scores, NaN where all examples are of one class; with more
 *     "mean_Nclass_f1", the plain mean over classes. Where an example has several right choices,
 *     the accuracy alone
 */
public record RankMetrics(int examples, int withoutAnswer, SequencedMap<String, Double> values) {
  /** What is right and how much is claimed, of one example. */
  private record Claim(boolean positive, double score, double weight) {}

  /**
   * @param classes fixed number of choices; null where it varies or means nothing
   * @throws DataException if there is no example, or one has another number of choices
   */
  public static RankMetrics of(List<RankedExample> examples, @Nullable Integer classes) {
    if (examples.isEmpty()) {
      throw new DataException("there are no scores to count");
    }
    var values = new LinkedHashMap<String, Double>();
    double right = 0;
    double all = 0;
    for (RankedExample example : examples) {
      if (classes != null && example.scores().length != classes) {
        throw new DataException(
            "example %d has %d choices where the task has %d classes"
                .formatted(example.example(), example.scores().length, classes));
      }
      right += example.correct()[example.prediction()] ? example.weight() : 0;
      all += example.weight();
    }
    values.put("accuracy", 100 * right / all);
    boolean several = examples.stream().anyMatch(e -> e.rightChoices() > 1);
    if (classes != null && !several) {
      if (classes == 2) {
        values.putAll(ofTwo(examples));
      } else {
        values.put("mean_%dclass_f1".formatted(classes), 100 * meanF1(examples, classes));
      }
    }
    int without = (int) examples.stream().filter(e -> e.rightChoices() == 0).count();
    return new RankMetrics(examples.size(), without, values);
  }

  public double accuracy() {
    Double accuracy = values.get("accuracy");
    if (accuracy == null) {
      throw new IllegalStateException("no accuracy among " + values.keySet());
    }
    return accuracy;
  }

  private static double meanF1(List<RankedExample> examples, int classes) {
    double sum = 0;
    for (int c = 0; c < classes; c++) {
      double hit = 0;
      double claimed = 0;
      double wanted = 0;
      for (RankedExample example : examples) {
        boolean predicted = example.prediction() == c;
        boolean correct = example.correct()[c];
        claimed += predicted ? example.weight() : 0;
        wanted += correct ? example.weight() : 0;
        hit += predicted && correct ? example.weight() : 0;
      }
      sum += f1(hit, claimed, wanted);
    }
    return sum / classes;
  }

  /** 0 where the class is neither claimed nor wanted. */
  private static double f1(double hit, double claimed, double wanted) {
    return claimed + wanted == 0 ? 0 : 2 * hit / (claimed + wanted);
  }

  private static Map<String, Double> ofTwo(List<RankedExample> examples) {
    double hit = 0;
    double claimed = 0;
    double wanted = 0;
    for (RankedExample example : examples) {
      boolean predicted = example.prediction() == 1;
      boolean label = example.label() == 1;
      claimed += predicted ? example.weight() : 0;
      wanted += label ? example.weight() : 0;
      hit += predicted && label ? example.weight() : 0;
    }
    List<Claim> claims =
        examples.stream()
            .map(e -> new Claim(e.correct()[1], probability(e.scores()), e.weight()))
            .sorted(Comparator.comparingDouble(Claim::score).reversed())
            .toList();
    var values = new LinkedHashMap<String, Double>();
    values.put("f1", 100 * f1(hit, claimed, wanted));
    values.putAll(areas(claims));
    return values;
  }

  /** Of the second choice, in single precision as the original: very sure ones tie. */
  private static double probability(double[] scores) {
    float first = (float) scores[0];
    float second = (float) scores[1];
    float largest = Math.max(first, second);
    float a = (float) Math.exp(first - largest);
    float b = (float) Math.exp(second - largest);
    return b / (a + b);
  }

  /**
   * Areas under the curves of true over false positives and of precision over recall, going down
   * from the surest; equal scores are one step.
   */
  private static Map<String, Double> areas(List<Claim> claims) {
    double positives = claims.stream().filter(Claim::positive).mapToDouble(Claim::weight).sum();
    double negatives = claims.stream().filter(c -> !c.positive()).mapToDouble(Claim::weight).sum();
    double truePositives = 0;
    double falsePositives = 0;
    double roc = 0;
    double precisionRecall = 0;
    for (int from = 0; from < claims.size(); ) {
      double trueBefore = truePositives;
      double falseBefore = falsePositives;
      double score = claims.get(from).score();
      for (; from < claims.size() && claims.get(from).score() == score; from++) {
        Claim claim = claims.get(from);
        truePositives += claim.positive() ? claim.weight() : 0;
        falsePositives += claim.positive() ? 0 : claim.weight();
      }
      roc += (falsePositives - falseBefore) * (truePositives + trueBefore) / 2;
      precisionRecall +=
          (truePositives - trueBefore) * truePositives / (truePositives + falsePositives);
    }
    boolean both = positives > 0 && negatives > 0;
    var values = new LinkedHashMap<String, Double>();
    values.put("auc-roc", both ? 100 * roc / (positives * negatives) : Double.NaN);
    values.put("auc-pr", both ? 100 * precisionRecall / positives : Double.NaN);
    return values;
  }
}
