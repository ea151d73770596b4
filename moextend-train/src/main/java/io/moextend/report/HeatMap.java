package io.moextend.report;

import java.util.List;
import java.util.Set;

/**
 * A value for each row and column as a shade.
 *
 * @param rowName what a row is, e.g. "layer"; rows and columns are numbered from 0
 * @param columnName what a column is, e.g. "expert"
 * @param values [rows][columns], finite
 * @param shade from 0 upwards, or both ways from 0
 * @param outlined cells to draw a frame around
 * @param markedRows rows to point at
 * @param key what frames and marks mean; empty where there are none
 */
public record HeatMap(
    String title,
    String rowName,
    String columnName,
    List<List<Double>> values,
    Unit unit,
    Shade shade,
    Set<Cell> outlined,
    Set<Integer> markedRows,
    String key)
    implements Block {
  /** Where the colours start. */
  public enum Shade {
    FROM_ZERO,
    AROUND_ZERO
  }

  /** A place on the map. */
  public record Cell(int row, int column) {}

  public HeatMap {
    values = values.stream().map(List::copyOf).toList();
    outlined = Set.copyOf(outlined);
    markedRows = Set.copyOf(markedRows);
    if (values.isEmpty() || values.getFirst().isEmpty()) {
      throw new IllegalArgumentException("heat map '" + title + "' has no cells");
    }
    for (List<Double> row : values) {
      if (row.size() != values.getFirst().size()) {
        throw new IllegalArgumentException("heat map '" + title + "' has rows of unlike length");
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
}
