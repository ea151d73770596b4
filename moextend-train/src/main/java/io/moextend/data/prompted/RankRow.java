package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * One choice of one example, to be scored by the sum of the log-probabilities of its target ids,
 * the end counted.
 *
 * @param example its number within the task
 * @param choice from 0
 * @param correct whether the choice is the right answer, or one of them
 */
public record RankRow(long example, int choice, boolean correct, double weight, TokenPair ids) {
  /** White space of ASCII alone, as the original strips it. */
  private static final Pattern AROUND = Pattern.compile("^\\s+|\\s+$");

  /**
   * All rows of a task in order. Of a file with one row for each choice they are its rows; any
   * other example becomes a row for each of its choices, right where it equals the target without
   * white space around it.
   *
   * @throws DataException where an example has no choices, or an empty input
   */
  public static Stream<RankRow> all(Examples examples, PromptTokens tokens) {
    return IntStream.range(0, examples.size())
        .boxed()
        .flatMap(i -> rows(examples.read(i), i, tokens).stream());
  }

  private static List<RankRow> rows(PromptedExample example, long number, PromptTokens tokens) {
    PromptedExample.Ranked ranked = example.ranked();
    if (ranked != null) {
      TokenPair ids = tokens.encode(example).orElseThrow(() -> empty(example));
      return List.of(
          new RankRow(ranked.example(), ranked.choice(), ranked.correct(), ranked.weight(), ids));
    }
    String target = example.targets().text();
    if (example.choices().isEmpty() || target == null) {
      throw new DataException(
          "%s: it has no answer choices, or its target no text; rank a task that has them"
              .formatted(example.where()));
    }
    String stripped = AROUND.matcher(target).replaceAll("");
    var rows = new ArrayList<RankRow>();
    for (String choice : example.choices()) {
      TokenPair ids = tokens.encode(example, choice).orElseThrow(() -> empty(example));
      boolean correct = choice.equals(stripped);
      rows.add(new RankRow(number, rows.size(), correct, 1, ids));
    }
    return rows;
  }

  private static DataException empty(PromptedExample example) {
    return new DataException(
        example.where() + ": its input is empty, so there is nothing to rank; take it out");
  }
}
