package io.moextend.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;

/**
 * What a run wrote to metrics.jsonl: JSON objects with a {@code step} and other numbers or lists of
 * numbers, which are kept by name. Lines of one step with different numbers, as of training and
 * evaluation, are one row; a number that comes again, as after a new start from a checkpoint,
 * replaces the first.
 *
 * @param rows in the order of their steps
 * @param repeatedSteps lines that replaced a number of an earlier line
 * @param cutLines 1 if the file ends in the middle of a line, as after a crash
 */
public record MetricsHistory(List<Row> rows, int repeatedSteps, int cutLines) {
  private static final JsonMapper JSON = new JsonMapper();

  /**
   * The numbers of one step.
   *
   * @param lists those with a value for each rank
   */
  public record Row(long step, Map<String, Double> values, Map<String, List<Double>> lists) {
    public Row {
      values = Map.copyOf(values);
      lists = Map.copyOf(lists);
    }

    Row with(Row later) {
      Map<String, Double> all = new HashMap<>(values);
      all.putAll(later.values);
      Map<String, List<Double>> allLists = new HashMap<>(lists);
      allLists.putAll(later.lists);
      return new Row(step, all, allLists);
    }
  }

  public MetricsHistory {
    rows = List.copyOf(rows);
  }

  /**
   * @throws ConfigException naming file and line, unless only the last line is cut short
   */
  public static MetricsHistory read(Path file) {
    try {
      String text = Files.readString(file);
      return of(file.toString(), text.lines().toList(), text.endsWith("\n"));
    } catch (IOException e) {
      throw new ConfigException(file + ": cannot be read: " + e, e);
    }
  }

  /**
   * @param name what to call the lines in an error
   * @param isWhole whether the last line was written to its end
   */
  static MetricsHistory of(String name, List<String> lines, boolean isWhole) {
    Map<Long, Row> byStep = new TreeMap<>();
    int repeated = 0;
    int cut = 0;
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).isBlank()) {
        continue;
      }
      try {
        Row row = row(name + ":" + (i + 1), JSON.readTree(lines.get(i)));
        Row earlier = byStep.put(row.step(), row);
        if (earlier != null) {
          byStep.put(row.step(), earlier.with(row));
          repeated +=
              Collections.disjoint(earlier.values().keySet(), row.values().keySet()) ? 0 : 1;
        }
      } catch (JsonProcessingException e) {
        if (i < lines.size() - 1 || isWhole) {
          throw new ConfigException(
              "%s:%d: no JSON: %s".formatted(name, i + 1, e.getOriginalMessage()), e);
        }
        cut = 1;
      }
    }
    return new MetricsHistory(new ArrayList<>(byStep.values()), repeated, cut);
  }

  private static Row row(String where, JsonNode node) {
    if (!node.path("step").isIntegralNumber()) {
      throw new ConfigException(
          where + " step", node.path("step"), "each line is an object with a whole number step");
    }
    Map<String, Double> values = new LinkedHashMap<>();
    Map<String, List<Double>> lists = new LinkedHashMap<>();
    node.properties()
        .forEach(
            field -> {
              JsonNode value = field.getValue();
              if (value.isNumber() && !field.getKey().equals("step")) {
                values.put(field.getKey(), value.asDouble());
              } else if (value.isArray() && value.valueStream().allMatch(JsonNode::isNumber)) {
                lists.put(field.getKey(), value.valueStream().map(JsonNode::asDouble).toList());
              }
            });
    return new Row(node.get("step").asLong(), values, lists);
  }

  /** Whether any step has this number. */
  public boolean has(String name) {
    return rows.stream().anyMatch(r -> r.values().containsKey(name));
  }

  /** A number over the steps that have it. */
  public LineChart.Series series(String name, String label) {
    List<LineChart.Point> points = new ArrayList<>();
    for (Row row : rows) {
      Double value = row.values().get(name);
      if (value != null) {
        points.add(new LineChart.Point(row.step(), value));
      }
    }
    return new LineChart.Series(label, points);
  }

  /** A number at the last step that has it. */
  public OptionalDouble last(String name) {
    List<LineChart.Point> points = series(name, name).points();
    return points.isEmpty() ? OptionalDouble.empty() : OptionalDouble.of(points.getLast().y());
  }

  /** A list of numbers at the last step that has it; empty where none has. */
  public List<Double> lastList(String name) {
    return rows.reversed().stream()
        .map(row -> row.lists().getOrDefault(name, List.of()))
        .filter(list -> !list.isEmpty())
        .findFirst()
        .orElse(List.of());
  }

  /** The sum over all steps of what each took; 0 where none has it. */
  public double total(String name) {
    return rows.stream().mapToDouble(row -> row.values().getOrDefault(name, 0.0)).sum();
  }

  /** The middle value over all steps: what a few slow ones do not move. */
  public OptionalDouble median(String name) {
    double[] sorted =
        series(name, name).points().stream().mapToDouble(LineChart.Point::y).sorted().toArray();
    if (sorted.length == 0) {
      return OptionalDouble.empty();
    }
    int half = sorted.length / 2;
    return OptionalDouble.of(
        sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2);
  }
}
