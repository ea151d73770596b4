package io.moextend.report;

import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * A value for each row and column as a shade.
 *
 * @param values [rows][columns], finite
 * @param shade from 0 upwards, or both ways from 0
 */
public record HeatMap(
    String title, Names names, List<List<Double>> values, Unit unit, Shade shade, Marks marks)
    implements Block {
  /** Where the colours start. */
  public enum Shade {
    FROM_ZERO,
    AROUND_ZERO
  }

  /** A place on the map, counted from 0. */
  public record Cell(int row, int column) {}

  /**
   * @param row what a row is, e.g. "layer"
   * @param column what a column is, e.g. "expert"
   * @param rows the name of each
   * @param columns the name of each
   */
  public record Names(String row, String column, List<String> rows, List<String> columns) {
    public Names {
      rows = List.copyOf(rows);
      columns = List.copyOf(columns);
    }

    /** Rows and columns with their numbers for names. */
    public static Names numbered(String row, String column, int rows, int columns) {
      return new Names(row, column, numbers(rows), numbers(columns));
    }

    static List<String> numbers(int count) {
      return IntStream.range(0, count).mapToObj(String::valueOf).toList();
    }
  }

  /**
   * What is pointed out.
   *
   * @param outlined cells to draw a frame around
   * @param rows to point at
   * @param blank cells of which there is nothing to say; their values are not shown
   * @param key what frames, marks and blanks mean; empty where there are none
   */
  public record Marks(Set<Cell> outlined, Set<Integer> rows, Set<Cell> blank, String key) {
    public static final Marks NONE = new Marks(Set.of(), Set.of(), Set.of(), "");

    public Marks {
      outlined = Set.copyOf(outlined);
      rows = Set.copyOf(rows);
      blank = Set.copyOf(blank);
    }
  }

  public HeatMap {
    values = values.stream().map(List::copyOf).toList();
    if (values.isEmpty() || values.getFirst().isEmpty()) {
      throw new IllegalArgumentException("heat map '" + title + "' has no cells");
    }
    if (values.size() != names.rows().size()) {
      throw new IllegalArgumentException(
          "heat map '%s' has %d rows and %d names for them"
              .formatted(title, values.size(), names.rows().size()));
    }
    for (List<Double> row : values) {
      if (row.size() != names.columns().size()) {
        throw new IllegalArgumentException(
            "heat map '%s' has a row of %d cells for %d columns"
                .formatted(title, row.size(), names.columns().size()));
      }
      if (row.stream().anyMatch(v -> !Double.isFinite(v))) {
        throw new IllegalArgumentException("heat map '" + title + "' has a value that is none");
      }
    }
  }

  int rows() {
    return values.size();
  }

  int columns() {
    return values.getFirst().size();
  }

  boolean isBlank(int row, int column) {
    return marks.blank().contains(new Cell(row, column));
  }
}
