package io.moextend.eval;

import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.T5Config;
import io.moextend.data.DataException;
import io.moextend.data.prompted.ExampleFiles;
import io.moextend.data.prompted.Examples;
import io.moextend.data.prompted.MedianAverage;
import io.moextend.data.prompted.PromptTokens;
import io.moextend.data.prompted.RankMetrics;
import io.moextend.data.prompted.RankRow;
import io.moextend.data.prompted.RankedExample;
import io.moextend.data.prompted.RankedExample.Scored;
import io.moextend.data.prompted.TaskList;
import io.moextend.model.T5;
import io.moextend.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Rank classification: a model answers with the choice whose tokens, the end with them, have the
 * largest sum of log-probabilities; of equal ones the first. Sums are not divided by lengths.
 *
 * @see <a href="https://arxiv.org/abs/2110.08207">Multitask Prompted Training Enables Zero-Shot
 *     Task Generalization</a>
 */
public final class RankExamination {
  /** Batches' worth of rows that are put in order of length at once, so that little is padded. */
  private static final int WINDOW = 16;

  private final RankScorer scorer;
  private final PromptTokens tokens;
  private final Settings settings;

  /**
   * @param batchSize choices scored at once
   * @param inputsLength most ids of an input
   * @param targetsLength most ids of a choice, the end counted
   * @param limit examples of each task that are looked at, its first; null for all
   */
  public record Settings(
      int batchSize, int inputsLength, int targetsLength, @Nullable Integer limit) {
    /** As published. */
    public static final Settings PUBLISHED = new Settings(32, 1024, 256, null);

    public Settings {
      requirePositive("batch size", batchSize);
      requirePositive("inputs length", inputsLength);
      requirePositive("targets length", targetsLength);
      if (limit != null) {
        requirePositive("limit", limit);
      }
    }

    private static void requirePositive(String name, int value) {
      if (value < 1) {
        throw new ConfigException(name, value, "must be at least 1");
      }
    }
  }

  /** Hears how far it is, on the thread that scores. */
  @FunctionalInterface
  public interface Listener {
    /**
     * After each batch.
     *
     * @param task its number, from 1
     * @param choices scored so far, of all tasks
     */
    void scored(int task, int tasks, String name, long choices);
  }

  /**
   * One task's.
   *
   * @param dataset whose median it counts in
   * @param group whose mean that counts in
   * @param examples in the order of their numbers
   */
  public record TaskResult(
      String task,
      String dataset,
      String group,
      List<RankedExample> examples,
      RankMetrics metrics) {
    public TaskResult {
      examples = List.copyOf(examples);
    }

    private MedianAverage.Prompt prompt() {
      return new MedianAverage.Prompt(group, dataset, task, metrics.accuracy());
    }
  }

  /** All tasks' in the order of their list, and the averages of their accuracies. */
  public record Result(List<TaskResult> tasks, MedianAverage averages) {
    public Result {
      tasks = List.copyOf(tasks);
    }
  }

  /**
   * @param tokenizer of the model, open as long as this runs
   * @throws DataException if the tokenizer is another model's
   */
  public RankExamination(Backend backend, T5 model, Tokenizer tokenizer, Settings settings) {
    requireFitting(tokenizer, model.config());
    this.scorer = new RankScorer(backend, model);
    this.settings = settings;
    this.tokens =
        new PromptTokens(
            tokenizer, model.config().vocab(), settings.inputsLength, settings.targetsLength);
  }

  /**
   * @throws DataException if the tokenizer is another model's
   */
  public static void requireFitting(Tokenizer tokenizer, T5Config config) {
    if (tokenizer.vocabularySize() > config.vocab()) {
      throw new DataException(
          "%s has %d tokens, but the model's vocab_size is %d; name the model's own tokenizer"
              .formatted(tokenizer.file(), tokenizer.vocabularySize(), config.vocab()));
    }
    T5Config.SpecialTokens special = config.tokens();
    if (tokenizer.eos() != special.eos() || tokenizer.pad() != special.pad()) {
      throw new DataException(
          "%s ends with %d and pads with %d, the model with %d and %d; name the model's own tokenizer"
              .formatted(
                  tokenizer.file(),
                  tokenizer.eos(),
                  tokenizer.pad(),
                  special.eos(),
                  special.pad()));
    }
  }

  /**
   * @param scratch an existing folder, where parquet files are unpacked
   * @throws DataException naming list, task and example, where one cannot be read, has no choices
   *     to rank, or has another number than its task's classes
   */
  public Result run(TaskList list, Path scratch, Listener listener) {
    List<TaskList.Task> tasks = list.tasks();
    requireWhole(list, tasks);
    ExampleFiles files = ExampleFiles.of(list, scratch);
    var results = new ArrayList<TaskResult>();
    long choices = 0;
    for (TaskList.Task task : tasks) {
      long before = choices;
      try (Examples examples = files.open(task)) {
        List<Scored> scored =
            scored(
                rows(examples),
                done ->
                    listener.scored(results.size() + 1, tasks.size(), task.name(), before + done));
        choices += scored.size();
        results.add(result(task, RankedExample.group(scored)));
      } catch (DataException e) {
        throw new DataException(
            "%s: task %s: %s".formatted(list.file(), task.name(), e.getMessage()), e);
      }
    }
    List<MedianAverage.Prompt> prompts = results.stream().map(TaskResult::prompt).toList();
    return new Result(results, MedianAverage.of(prompts));
  }

  /** What would otherwise be found hours later. */
  private static void requireWhole(TaskList list, List<TaskList.Task> tasks) {
    try {
      MedianAverage.of(tasks.stream().map(t -> MedianAverage.Prompt.of(t, 0)).toList());
    } catch (DataException e) {
      throw new DataException(list.file() + ": " + e.getMessage(), e);
    }
    for (TaskList.Task task : tasks) {
      for (Path path : task.paths()) {
        if (!Files.exists(path)) {
          throw new DataException(
              "%s: task %s: there is no %s; put it there, or name the root of the tasks' files"
                  .formatted(list.file(), task.name(), path));
        }
      }
    }
  }

  private static TaskResult result(TaskList.Task task, List<RankedExample> examples) {
    RankMetrics metrics = RankMetrics.of(examples, task.entry().classes());
    var prompt = MedianAverage.Prompt.of(task, metrics.accuracy());
    return new TaskResult(task.name(), prompt.dataset(), prompt.group(), examples, metrics);
  }

  private Iterator<RankRow> rows(Examples examples) {
    Stream<RankRow> all = RankRow.all(examples, tokens);
    Integer limit = settings.limit;
    if (limit == null) {
      return all.iterator();
    }
    Set<Long> seen = new HashSet<>();
    return all.takeWhile(row -> !seen.add(row.example()) || seen.size() <= limit).iterator();
  }

  /**
   * @param done is told the number of rows scored so far
   */
  private List<Scored> scored(Iterator<RankRow> rows, LongConsumer done) {
    var scored = new ArrayList<Scored>();
    var window = new ArrayList<RankRow>();
    while (rows.hasNext()) {
      window.add(rows.next());
      if (window.size() < (long) WINDOW * settings.batchSize && rows.hasNext()) {
        continue;
      }
      window.sort(
          Comparator.<RankRow>comparingInt(row -> row.ids().inputs().length)
              .thenComparingLong(RankRow::example)
              .thenComparingInt(RankRow::choice));
      for (int from = 0; from < window.size(); from += settings.batchSize) {
        int to = Math.min(window.size(), from + settings.batchSize);
        scored.addAll(scorer.scores(window.subList(from, to)));
        done.accept(scored.size());
      }
      window.clear();
    }
    return scored;
  }
}
