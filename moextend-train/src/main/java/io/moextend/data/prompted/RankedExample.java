package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The scores of an example's choices.
 *
 * @param scores of each choice; the largest wins
 * @param correct which choices are right; may be none or several
 */
@SuppressWarnings("ArrayRecordComponent") // handed over, compared nowhere
public record RankedExample(long example, double[] scores, boolean[] correct, double weight) {
  /** A row's number, its verdict and its score, without its ids. */
  public record Scored(long example, int choice, boolean correct, double weight, double score) {
    public static Scored of(RankRow row, double score) {
      return new Scored(row.example(), row.choice(), row.correct(), row.weight(), score);
    }
  }

  public RankedExample {
    if (scores.length == 0 || scores.length != correct.length) {
      throw new IllegalArgumentException(
          "%d scores of %d choices".formatted(scores.length, correct.length));
    }
  }

  /**
   * Puts the rows of each example together, in whatever order they come.
   *
   * @throws DataException if a choice is there twice, or missing, or its score is no number
   */
  public static List<RankedExample> group(List<Scored> rows) {
    List<Scored> sorted =
        rows.stream()
            .sorted(Comparator.comparingLong(Scored::example).thenComparingInt(Scored::choice))
            .toList();
    var examples = new ArrayList<RankedExample>();
    for (int from = 0; from < sorted.size(); ) {
      int to = from + 1;
      while (to < sorted.size() && sorted.get(to).example() == sorted.get(from).example()) {
        to++;
      }
      examples.add(of(sorted.subList(from, to)));
      from = to;
    }
    return examples;
  }

  private static RankedExample of(List<Scored> choices) {
    double[] scores = new double[choices.size()];
    boolean[] correct = new boolean[scores.length];
    for (int i = 0; i < scores.length; i++) {
      Scored row = choices.get(i);
      if (row.choice() != i) {
        throw new DataException(
            "example %d: choice %d is there %s; score every choice once"
                .formatted(
                    row.example(),
                    Math.min(i, row.choice()),
                    row.choice() < i ? "twice" : "not at all"));
      }
      if (Double.isNaN(row.score())) {
        throw new DataException(
            "example %d: the score of choice %d is no number".formatted(row.example(), i));
      }
      scores[i] = row.score();
      correct[i] = row.correct();
    }
    return new RankedExample(
        choices.getFirst().example(), scores, correct, choices.getFirst().weight());
  }

  /** The choice with the largest score, the first of several. */
  public int prediction() {
    int best = 0;
    for (int i = 1; i < scores.length; i++) {
      best = scores[i] > scores[best] ? i : best;
    }
    return best;
  }

  /** The first right choice; 0 where there is none. */
  int label() {
    for (int i = 0; i < correct.length; i++) {
      if (correct[i]) {
        return i;
      }
    }
    return 0;
  }

  int rightChoices() {
    int count = 0;
    for (boolean right : correct) {
      count += right ? 1 : 0;
    }
    return count;
  }
}
