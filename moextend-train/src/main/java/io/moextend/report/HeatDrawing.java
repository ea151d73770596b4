package io.moextend.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A {@link HeatMap} as SVG, and its numbers as a table below. */
final class HeatDrawing {
  private static final int LEFT = 64;
  private static final int TOP = 36;
  private static final int KEY_HEIGHT = 52;
  private static final int KEY_STEPS = 14; // of the colour legend, 7 a side where there are two
  private static final int FULL_WIDTH = 560; // what the cells share

  /** At full shade text in the page's ink can still be read on the cell. */
  private static final double FULL_SHADE = 0.7;

  private static final int CELL_HEIGHT = 20;
  private static final int ROOM_FOR_A_NUMBER = 34;

  private final HeatMap map;
  private final int cellWidth;
  private final double most;

  private HeatDrawing(HeatMap map) {
    this.map = map;
    this.cellWidth = Math.clamp(FULL_WIDTH / map.columns(), 8, 46);
    double largest = 0;
    for (List<Double> row : map.values()) {
      for (double value : row) {
        largest = Math.max(largest, Math.abs(value));
      }
    }
    this.most = largest == 0 ? 1 : largest;
  }

  static void append(Html out, HeatMap map) {
    new HeatDrawing(map).draw(out);
  }

  private void draw(Html out) {
    int width = LEFT + map.columns() * cellWidth + 22;
    int height = TOP + map.rows() * CELL_HEIGHT + KEY_HEIGHT;
    out.open("figure").element("figcaption", map.title());
    if (!map.key().isEmpty()) {
      out.element("p", map.key(), "class", "note");
    }
    out.open(
        "svg",
        "viewBox",
        "0 0 " + width + " " + height,
        "class",
        style(),
        "style",
        "max-width:" + Math.max(width, 260) + "px",
        "role",
        "img",
        "aria-label",
        description());
    labels(out);
    for (int r = 0; r < map.rows(); r++) {
      row(out, r);
    }
    frames(out);
    colourKey(out, TOP + map.rows() * CELL_HEIGHT + 14);
    out.close("svg");
    numbers(out);
    out.close("figure");
  }

  private void labels(Html out) {
    out.element("text", map.columnName(), "x", LEFT, "y", 13);
    out.element("text", map.rowName(), "class", "e", "x", LEFT - 8, "y", TOP - 6);
    int every = Math.max(1, (24 + cellWidth - 1) / cellWidth);
    for (int c = 0; c < map.columns(); c += every) {
      int middle = LEFT + c * cellWidth + cellWidth / 2;
      out.element("text", Integer.toString(c), "class", "m", "x", middle, "y", TOP - 6);
    }
  }

  private void row(Html out, int r) {
    String name = (map.markedRows().contains(r) ? "\u25B8 " : "") + r;
    String style = map.markedRows().contains(r) ? "e strong" : "e";
    out.open("g", "transform", "translate(" + LEFT + " " + (TOP + r * CELL_HEIGHT) + ")");
    out.element("text", name, "class", style, "x", -8, "y", 14);
    List<Double> values = map.values().get(r);
    for (int c = 0; c < values.size(); c++) {
      String value = map.unit().format(values.get(c));
      rectangle(out, colour(values.get(c)), c * cellWidth, cellWidth - 1, shade(values.get(c)));
      out.element(
          "title", "%s %d, %s %d: %s".formatted(map.rowName(), r, map.columnName(), c, value));
      out.close("rect");
    }
    if (cellWidth >= ROOM_FOR_A_NUMBER) {
      out.open("text", "class", "v", "y", 14);
      for (int c = 0; c < values.size(); c++) {
        int middle = c * cellWidth + cellWidth / 2;
        out.element("tspan", map.unit().bare(values.get(c)), "x", middle);
      }
      out.close("text");
    }
    out.close("g").line();
  }

  private void rectangle(Html out, String style, int left, int width, String shade) {
    out.open(
        "rect",
        "class",
        style,
        "x",
        left,
        "width",
        width,
        "height",
        CELL_HEIGHT - 1,
        "fill-opacity",
        shade);
  }

  private void frames(Html out) {
    for (HeatMap.Cell cell : map.outlined().stream().sorted(HeatDrawing::inOrder).toList()) {
      out.open(
              "rect",
              "class",
              "frame",
              "x",
              LEFT + cell.column() * cellWidth,
              "y",
              TOP + cell.row() * CELL_HEIGHT,
              "width",
              cellWidth - 1,
              "height",
              CELL_HEIGHT - 1)
          .close("rect");
    }
  }

  /** So that the same map is the same file. */
  private static int inOrder(HeatMap.Cell a, HeatMap.Cell b) {
    return a.row() != b.row()
        ? Integer.compare(a.row(), b.row())
        : Integer.compare(a.column(), b.column());
  }

  private void colourKey(Html out, int top) {
    double least = map.shade() == HeatMap.Shade.AROUND_ZERO ? -most : 0;
    int step = 10;
    out.open("g", "class", "key", "transform", "translate(" + LEFT + " " + top + ")");
    for (int i = 0; i < KEY_STEPS; i++) {
      double value = least + (most - least) * (i + 0.5) / KEY_STEPS;
      rectangle(out, colour(value), i * step, step, shade(value));
      out.close("rect");
    }
    out.close("g");
    out.element("text", map.unit().format(least), "x", LEFT, "y", top + 33);
    int end = LEFT + KEY_STEPS * step;
    out.element("text", map.unit().format(most), "class", "e", "x", end, "y", top + 33);
  }

  private String style() {
    String around = map.shade() == HeatMap.Shade.AROUND_ZERO ? " around" : "";
    return "heat" + around + (cellWidth >= ROOM_FOR_A_NUMBER ? "" : " bare");
  }

  private static String colour(double value) {
    return value < 0 ? "fall" : "rise";
  }

  private String shade(double value) {
    double full = cellWidth >= ROOM_FOR_A_NUMBER ? FULL_SHADE : 1;
    String text = String.format(Locale.ROOT, "%.2f", full * Math.abs(value) / most);
    return text.startsWith("0.") ? text.substring(1) : text;
  }

  private void numbers(Html out) {
    List<Table.Column> columns = new ArrayList<>();
    columns.add(Table.Column.numbers(map.rowName() + " \\ " + map.columnName()));
    for (int c = 0; c < map.columns(); c++) {
      columns.add(Table.Column.numbers(Integer.toString(c)));
    }
    List<List<String>> rows = new ArrayList<>();
    for (int r = 0; r < map.rows(); r++) {
      List<String> row = new ArrayList<>();
      row.add(Integer.toString(r));
      for (double value : map.values().get(r)) {
        row.add(map.unit().bare(value));
      }
      rows.add(row);
    }
    Blocks.details(out, "As a table", List.of(new Table(map.title(), columns, rows)));
  }

  private String description() {
    return "Heat map, %d rows (%s) by %d columns (%s); values up to %s. The table below has all numbers."
        .formatted(
            map.rows(), map.rowName(), map.columns(), map.columnName(), map.unit().format(most));
  }
}
