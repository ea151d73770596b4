package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.Collectors;

/**
 * One figure of many prompts: of each dataset the median accuracy over its prompts, of each group
 * the mean over its datasets, and the mean over groups. A group is a dataset, or the rounds of
 * ANLI: the paper does not say how these become one, so each round counts a third, whatever its
 * size. Where prompts are files, those of one group are prompts of one dataset.
 *
 * @param datasets median of each
 * @param groups mean of each
 */
public record MedianAverage(
    SequencedMap<String, Double> datasets, SequencedMap<String, Double> groups, double average) {
  /** The accuracy of one prompt. */
  public record Prompt(String group, String dataset, String prompt, double accuracy) {
    public static Prompt of(TaskList.Task task, double accuracy) {
      TaskList.Entry entry = task.entry();
      String group = entry.group() == null ? entry.name() : entry.group();
      String dataset = entry.files() == null ? entry.name() : group;
      return new Prompt(group, dataset, task.name(), accuracy);
    }
  }

  /**
   * @throws DataException if there is none, or one is there twice
   */
  public static MedianAverage of(List<Prompt> prompts) {
    if (prompts.isEmpty()) {
      throw new DataException("there are no prompts to average over");
    }
    var byGroup = new LinkedHashMap<String, LinkedHashMap<String, List<Prompt>>>();
    for (Prompt prompt : prompts) {
      List<Prompt> known =
          byGroup
              .computeIfAbsent(prompt.group(), _ -> new LinkedHashMap<>())
              .computeIfAbsent(prompt.dataset(), _ -> new ArrayList<>());
      if (known.stream().anyMatch(p -> p.prompt().equals(prompt.prompt()))) {
        throw new DataException(
            "%s of %s is there twice".formatted(prompt.prompt(), prompt.dataset()));
      }
      known.add(prompt);
    }
    var datasets = new LinkedHashMap<String, Double>();
    var groups = new LinkedHashMap<String, Double>();
    byGroup.forEach(
        (group, parts) -> {
          parts.forEach((dataset, of) -> datasets.put(dataset, median(of)));
          groups.put(
              group,
              parts.values().stream().collect(Collectors.averagingDouble(MedianAverage::median)));
        });
    double average =
        groups.values().stream().mapToDouble(Double::doubleValue).average().orElseThrow();
    return new MedianAverage(datasets, groups, average);
  }

  private static double median(List<Prompt> prompts) {
    double[] sorted = prompts.stream().mapToDouble(Prompt::accuracy).sorted().toArray();
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}
