package io.moextend.data.prompted;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One example of a task.
 *
 * @param where how errors name it: file and number
 * @param choices what may be answered; empty where nothing is chosen from
 * @param ranked set where a file holds one row for each choice of an example
 */
public record PromptedExample(
    String where, Side inputs, Side targets, List<String> choices, @Nullable Ranked ranked) {
  /**
   * Which choice of which example a row is.
   *
   * @param example its number within the task
   * @param choice from 0
   * @param weight of the example, 1 in all published tasks
   */
  public record Ranked(long example, int choice, boolean correct, double weight) {}

  public PromptedExample {
    choices = List.copyOf(choices);
  }

  /** Of texts alone. */
  public static PromptedExample of(String where, String inputs, String targets) {
    return new PromptedExample(where, Side.of(inputs), Side.of(targets), List.of(), null);
  }
}
