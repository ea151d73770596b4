package io.moextend.data.prompted;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.data.DataException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;

/** Tasks that are drawn from by their rates. Closing it closes them. */
public final class Mixture implements AutoCloseable {
  /**
   * @param rate how often it is drawn, in proportion to the others
   */
  public record Part(String name, double rate, Examples examples) {
    public Part {
      if (!(rate > 0) || Double.isInfinite(rate)) {
        throw new DataException("%s has a rate of %s; it must be positive".formatted(name, rate));
      }
      if (examples.size() == 0) {
        throw new DataException(name + " has no examples; take it out of the mixture");
      }
    }
  }

  private final List<Part> parts;
  private final MixtureContent content;

  public Mixture(List<Part> parts) {
    this(parts, MixtureContent.of(parts));
  }

  private Mixture(List<Part> parts, MixtureContent content) {
    if (parts.isEmpty()) {
      throw new DataException("a mixture needs at least one task");
    }
    this.parts = List.copyOf(parts);
    this.content = content;
  }

  /**
   * Opens the tasks of a list.
   *
   * @param scratch an existing folder, where parquet files are unpacked
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // in "parts", which the mixture closes
  public static Mixture open(TaskList list, Path scratch) {
    ExampleFiles files = ExampleFiles.of(list, scratch);
    var opened = new ArrayList<Examples>();
    var parts = new ArrayList<Part>();
    try {
      List<TaskList.Task> tasks = list.tasks();
      for (TaskList.Task task : tasks) {
        Examples examples = files.open(task);
        opened.add(examples);
        parts.add(new Part(task.name(), task.rate(list.cap(), examples.size()), examples));
      }
      return new Mixture(parts, MixtureContent.of(list, tasks, parts));
    } catch (RuntimeException e) {
      Concatenated.closeAll(opened);
      throw e;
    }
  }

  public List<Part> parts() {
    return parts;
  }

  /** What a run that goes on has to find as it was, by names for messages. */
  public SequencedMap<String, String> content() {
    return content.values();
  }

  /** The endless stream of draws that a seed gives. */
  DrawStream draws(long seed) {
    return new DrawStream(parts, seed);
  }

  @Override
  public void close() {
    Concatenated.closeAll(parts.stream().map(Part::examples).toList());
  }
}
