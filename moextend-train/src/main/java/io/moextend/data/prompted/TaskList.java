package io.moextend.data.prompted;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A file in YAML (or JSON, which is YAML) that lists tasks: what a mixture is drawn from, or what
 * is evaluated.
 *
 * @param file it was read from
 * @param root folder in which the tasks' files and folders lie
 * @param split of cached tasks
 * @param cap examples of a dataset beyond which its templates share this many; null in a list that
 *     nothing is drawn from
 */
public record TaskList(
    Path file, Path root, String split, @Nullable Long cap, List<Entry> entries) {
  private static final YAMLMapper YAML =
      YAMLMapper.builder(
              YAMLFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .build();

  /**
   * One dataset under some templates, each of which is a task; or files that hold all of them
   * together, as one task.
   *
   * @param name of the dataset
   * @param templates number of its templates, at least 1; 1 where it is left out
   * @param examples of the dataset, before templates; null to count those of each task
   * @param rate of each template, in the place of what follows from the number of examples
   * @param classes fixed number of choices; null where choices come with the examples
   * @param group what counts as one in an average: several datasets, or several prompts of one that
   *     are files each; null for the name itself
   * @param folders names of cached tasks below the root, with {@code *}
   * @param files below the root; the last part of a path may have {@code *}
   * @param fields names of the files' fields where they are not SeqIO's
   */
  public record Entry(
      String name,
      @Nullable Integer templates,
      @Nullable Long examples,
      @Nullable Double rate,
      @Nullable Integer classes,
      @Nullable String group,
      @Nullable List<String> folders,
      @Nullable List<String> files,
      @Nullable FieldNames fields) {
    /** The names that a list leaves out are {@link ExampleFields#SEQIO}'s. */
    public record FieldNames(
        @Nullable String inputs,
        @Nullable String targets,
        @Nullable String inputsText,
        @Nullable String targetsText,
        @Nullable String choices) {
      ExampleFields over(ExampleFields usual) {
        return new ExampleFields(
            inputs == null ? usual.inputs() : inputs,
            targets == null ? usual.targets() : targets,
            inputsText == null ? usual.inputsText() : inputsText,
            targetsText == null ? usual.targetsText() : targetsText,
            choices == null ? usual.choices() : choices);
      }
    }

    int count() {
      return templates == null ? 1 : templates;
    }

    private void check() {
      String fault = null;
      if (name == null || name.isBlank()) {
        fault = "a task has no name";
      } else if (count() < 1) {
        fault = name + ": templates=" + templates + " must be at least 1";
      } else if (examples != null && examples < 1) {
        fault = name + ": examples=" + examples + " must be at least 1";
      } else if (rate != null && !(rate > 0)) {
        fault = name + ": rate=" + rate + " must be positive";
      } else if (classes != null && classes < 2) {
        fault = name + ": classes=" + classes + " must be at least 2, or left out";
      } else if ((folders == null) == (files == null)) {
        fault = name + ": name either its folders or its files";
      }
      if (fault != null) {
        throw new DataException(fault);
      }
    }
  }

  /**
   * A task and where it lies.
   *
   * @param paths a cached task's folder, or files
   * @param share templates that it stands for
   */
  public record Task(String name, Entry entry, List<Path> paths, int share) {
    public Task {
      paths = List.copyOf(paths);
    }

    /**
     * How often the task is drawn, in proportion: for each template the dataset's examples, or,
     * where these are more than the cap, the cap divided by the templates, in whole numbers.
     *
     * @param counted examples of the task, taken where the list names none
     */
    double rate(@Nullable Long cap, long counted) {
      Double said = entry.rate();
      if (said != null) {
        return said * share;
      }
      Long examples = entry.examples();
      return (double) share * ruled(entry, cap, examples == null ? counted / share : examples);
    }

    private static long ruled(Entry entry, @Nullable Long cap, long examples) {
      if (cap == null) {
        throw new DataException(
            entry.name() + ": its list has no cap; write one to draw from it, as in configs/mov");
      }
      return examples <= cap ? Math.max(1, examples) : Math.max(1, cap / entry.count());
    }
  }

  private record Document(
      @Nullable String root,
      @Nullable String split,
      @Nullable Long cap,
      @Nullable List<Entry> tasks) {}

  public TaskList {
    entries = List.copyOf(entries);
  }

  /**
   * @param root in the place of the list's own; null to take that, or else the list's folder
   * @throws DataException if the list cannot be read; names it, the task and the mend
   */
  public static TaskList read(Path file, @Nullable Path root) {
    try {
      Document document = YAML.readValue(Files.readAllBytes(file), Document.class);
      if (document == null || document.tasks() == null || document.tasks().isEmpty()) {
        throw new DataException(
            "there are no tasks; it should look like configs/mov/t0_train.yaml");
      }
      document.tasks().forEach(Entry::check);
      Path own = file.toAbsolutePath().getParent();
      Path beside = own == null ? Path.of("") : own;
      return new TaskList(
          file,
          root != null ? root : document.root() == null ? beside : beside.resolve(document.root()),
          document.split() == null ? "train" : document.split(),
          document.cap(),
          document.tasks());
    } catch (DataException e) {
      throw new DataException(file + ": " + e.getMessage(), e);
    } catch (JacksonException e) {
      throw new DataException("%s, %s: %s".formatted(file, place(e), e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new DataException(
          "%s cannot be read (%s); name a list of tasks".formatted(file, e.getMessage()), e);
    }
  }

  private static String place(JacksonException e) {
    String line = "line " + (e.getLocation() == null ? -1 : e.getLocation().getLineNr());
    String field =
        e instanceof JsonMappingException mapping
            ? mapping.getPath().stream()
                .map(r -> r.getFieldName() == null ? "[" + r.getIndex() + "]" : r.getFieldName())
                .collect(Collectors.joining("."))
            : "";
    return field.isEmpty() ? line : line + ", " + field.replace(".[", "[");
  }

  /** Number of tasks: of each template, or of some files together. */
  public int templates() {
    return entries.stream().mapToInt(Entry::count).sum();
  }

  /**
   * The sum of all rates, without looking at files.
   *
   * @throws DataException if an entry says neither examples nor rate
   */
  public double rates() {
    double sum = 0;
    for (Entry entry : entries) {
      if (entry.examples() == null && entry.rate() == null) {
        throw new DataException(
            "%s: %s says neither examples nor rate".formatted(file, entry.name()));
      }
      sum += new Task(entry.name(), entry, List.of(), entry.count()).rate(cap, 1);
    }
    return sum;
  }

  /**
   * Looks the tasks' files and folders up, in the list's order, folders by name.
   *
   * @throws DataException if a dataset has other than its number of templates' folders, or a file
   *     is missing or outside of the root
   */
  public List<Task> tasks() {
    var places = new TaskFiles(file, root);
    var tasks = new ArrayList<Task>();
    for (Entry entry : entries) {
      if (entry.files() != null) {
        tasks.add(new Task(entry.name(), entry, places.files(entry), entry.count()));
      } else {
        for (Path folder : places.folders(entry)) {
          tasks.add(new Task(String.valueOf(folder.getFileName()), entry, List.of(folder), 1));
        }
      }
    }
    return tasks;
  }
}
