package io.moextend.report;

import java.util.List;

/**
 * A table. Numbers are handed over as text, each column with the same number of decimals, and are
 * aligned at the right.
 *
 * @param rows each as long as {@code columns}; the first cell names the row
 * @param cutAfter rows above the line that is drawn across, 0 for no line
 */
public record Table(String caption, List<Column> columns, List<List<String>> rows, int cutAfter)
    implements Block {
  /** A column of words or of numbers. */
  public record Column(String name, boolean isNumeric) {
    public static Column words(String name) {
      return new Column(name, false);
    }

    public static Column numbers(String name) {
      return new Column(name, true);
    }
  }

  public Table {
    columns = List.copyOf(columns);
    rows = rows.stream().map(List::copyOf).toList();
    for (int i = 0; i < rows.size(); i++) {
      if (rows.get(i).size() != columns.size()) {
        throw new IllegalArgumentException(
            "row %d of table '%s' has %d cells for %d columns"
                .formatted(i, caption, rows.get(i).size(), columns.size()));
      }
    }
    if (cutAfter < 0 || cutAfter > rows.size()) {
      throw new IllegalArgumentException(
          "cutAfter=%d in a table of %d rows".formatted(cutAfter, rows.size()));
    }
  }

  public Table(String caption, List<Column> columns, List<List<String>> rows) {
    this(caption, columns, rows, 0);
  }
}
