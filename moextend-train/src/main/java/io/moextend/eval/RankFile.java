package io.moextend.eval;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.JsonFile;
import io.moextend.eval.RankExamination.TaskResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * What a rank classification found, and of what: the file that evaluate writes.
 *
 * @param format always {@link #FORMAT}
 * @param tasks in the order of their list
 * @param datasets median accuracy of each over its prompts
 * @param groups mean of each over its datasets
 * @param averageMedian mean over groups
 */
public record RankFile(
    String format,
    Source source,
    List<Task> tasks,
    SequencedMap<String, Double> datasets,
    SequencedMap<String, Double> groups,
    double averageMedian) {
  public static final String FORMAT = "moextend-rank-classification-1";

  /**
   * @param model fingerprint of the base's weights
   * @param adapter its method; empty where the base ran alone
   * @param list name of the file that lists the tasks, without its folder
   * @param limit examples of each task; 0 = all
   */
  public record Source(
      String model,
      String adapter,
      String list,
      String split,
      int inputsLength,
      int targetsLength,
      int limit) {}

  /**
   * @param withoutAnswer examples none of whose choices is right; they count as wrong
   * @param metrics times 100; those that are no number, as areas under curves where all examples
   *     are of one class, are left out
   */
  public record Task(
      String name,
      String dataset,
      String group,
      int examples,
      int withoutAnswer,
      SequencedMap<String, Double> metrics) {
    static Task of(TaskResult result) {
      var metrics = new LinkedHashMap<String, Double>();
      for (Map.Entry<String, Double> metric : result.metrics().values().entrySet()) {
        if (Double.isFinite(metric.getValue())) {
          metrics.put(metric.getKey(), metric.getValue());
        }
      }
      return new Task(
          result.task(),
          result.dataset(),
          result.group(),
          result.metrics().examples(),
          result.metrics().withoutAnswer(),
          metrics);
    }
  }

  public RankFile {
    tasks = List.copyOf(tasks);
    if (!format.equals(FORMAT)) {
      throw new CheckpointException("format=%s: this version reads %s".formatted(format, FORMAT));
    }
  }

  public static RankFile of(Source source, RankExamination.Result result) {
    return new RankFile(
        FORMAT,
        source,
        result.tasks().stream().map(Task::of).toList(),
        result.averages().datasets(),
        result.averages().groups(),
        result.averages().average());
  }

  /**
   * @throws CheckpointException naming the file and what stands wrong in it
   */
  public static RankFile read(Path file) {
    return JsonFile.read(file, RankFile.class);
  }

  /**
   * Writes the file whole or not at all.
   *
   * @throws CheckpointException where it cannot be written
   */
  public void write(Path file) {
    Path whole = file.toAbsolutePath();
    Path part = whole.resolveSibling(whole.getFileName() + ".part");
    try {
      Files.createDirectories(whole.getParent());
      JsonFile.write(part, this);
      Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be written: " + e, e);
    }
  }
}
