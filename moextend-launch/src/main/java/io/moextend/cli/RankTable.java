package io.moextend.cli;

import io.moextend.eval.RankExamination;
import io.moextend.eval.RankExamination.TaskResult;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A rank classification as lines of a terminal: each task, the medians, their average. */
record RankTable(RankExamination.Result result) {
  private static final String ACCURACY = "accuracy";
  private static final int NARROWEST = 7;

  void print(PrintWriter out) {
    int width =
        Stream.concat(
                result.tasks().stream().map(TaskResult::task),
                result.averages().datasets().keySet().stream())
            .mapToInt(String::length)
            .max()
            .orElse(NARROWEST);
    String name = "%-" + Math.max(NARROWEST, width) + "s";
    out.printf(name + "  examples  accuracy%n", "task");
    result.tasks().forEach(task -> print(out, name, task));
    print(out, name, "dataset", "median", result.averages().datasets());
    if (!result.averages().groups().equals(result.averages().datasets())) {
      print(out, name, "group", "mean", result.averages().groups());
    }
    out.printf(Locale.ROOT, "average median: %.2f%n", result.averages().average());
    out.flush();
  }

  private static void print(PrintWriter out, String name, TaskResult task) {
    String others =
        task.metrics().values().entrySet().stream()
            .filter(metric -> !metric.getKey().equals(ACCURACY))
            .map(metric -> "%s %s".formatted(metric.getKey(), shown(metric.getValue())))
            .collect(Collectors.joining("  "));
    int without = task.metrics().withoutAnswer();
    String missing = without == 0 ? "" : "  (" + without + " have no right choice)";
    String line =
        String.format(
            Locale.ROOT,
            name + "  %8d  %8.2f  %s%s",
            task.task(),
            task.metrics().examples(),
            task.metrics().accuracy(),
            others,
            missing);
    out.println(line.stripTrailing());
  }

  private static void print(
      PrintWriter out, String name, String what, String figure, SequencedMap<String, Double> rows) {
    out.printf(name + "            %8s%n", what, figure);
    for (Map.Entry<String, Double> row : rows.entrySet()) {
      out.printf(Locale.ROOT, name + "            %8.2f%n", row.getKey(), row.getValue());
    }
  }

  private static String shown(double value) {
    return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.2f", value);
  }
}
