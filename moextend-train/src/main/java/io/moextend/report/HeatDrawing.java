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
    for (int r = 0; r < map.rows(); r++) {
      for (int c = 0; c < map.columns(); c++) {
        largest = map.isBlank(r, c) ? largest : Math.max(largest, Math.abs(value(r, c)));
      }
    }
    this.most = largest == 0 ? 1 : largest;
  }

  static void append(Html out, HeatMap map) {
    new HeatDrawing(map).draw(out);
  }

  private double value(int row, int column) {
    return map.values().get(row).get(column);
  }

  private void draw(Html out) {
    int width = LEFT + map.columns() * cellWidth + 22;
    int height = TOP + map.rows() * CELL_HEIGHT + KEY_HEIGHT;
    out.open("figure").element("figcaption", map.title());
    if (!map.marks().key().isEmpty()) {
      out.element("p", map.marks().key(), "class", "note");
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
    out.element("text", map.names().column(), "x", LEFT, "y", 13);
    out.element("text", map.names().row(), "class", "e", "x", LEFT - 8, "y", TOP - 6);
    int every = Math.max(1, (24 + cellWidth - 1) / cellWidth);
    for (int c = 0; c < map.columns(); c += every) {
      int middle = LEFT + c * cellWidth + cellWidth / 2;
      out.element("text", map.names().columns().get(c), "class", "m", "x", middle, "y", TOP - 6);
    }
  }

  private void row(Html out, int r) {
    boolean marked = map.marks().rows().contains(r);
    String name = (marked ? "\u25B8 " : "") + map.names().rows().get(r);
    out.open("g", "transform", "translate(" + LEFT + " " + (TOP + r * CELL_HEIGHT) + ")");
    out.element("text", name, "class", marked ? "e strong" : "e", "x", -8, "y", 14);
    for (int c = 0; c < map.columns(); c++) {
      if (!map.isBlank(r, c)) {
        double value = value(r, c);
        rectangle(out, colour(value), c * cellWidth, cellWidth - 1, shade(value));
        out.element("title", cell(r, c) + ": " + map.unit().format(value));
        out.close("rect");
      }
    }
    if (cellWidth >= ROOM_FOR_A_NUMBER) {
      out.open("text", "class", "v", "y", 14);
      for (int c = 0; c < map.columns(); c++) {
        out.element("tspan", bare(r, c), "x", c * cellWidth + cellWidth / 2);
      }
      out.close("text");
    }
    out.close("g").line();
  }

  private String cell(int row, int column) {
    HeatMap.Names names = map.names();
    return "%s %s, %s %s"
        .formatted(names.row(), names.rows().get(row), names.column(), names.columns().get(column));
  }

  /** Nothing where there is nothing to say. */
  private String bare(int row, int column) {
    return map.isBlank(row, column) ? "" : map.unit().bare(value(row, column));
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
    for (HeatMap.Cell cell :
        map.marks().outlined().stream().sorted(HeatDrawing::inOrder).toList()) {
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
    columns.add(Table.Column.numbers(map.names().row() + " \\ " + map.names().column()));
    map.names().columns().forEach(name -> columns.add(Table.Column.numbers(name)));
    List<List<String>> rows = new ArrayList<>();
    for (int r = 0; r < map.rows(); r++) {
      List<String> row = new ArrayList<>();
      row.add(map.names().rows().get(r));
      for (int c = 0; c < map.columns(); c++) {
        row.add(bare(r, c));
      }
      rows.add(row);
    }
    Blocks.details(out, "As a table", List.of(new Table(map.title(), columns, rows)));
  }

  private String description() {
    return "Heat map, %d rows (%s) by %d columns (%s); values up to %s. The table below has all numbers."
        .formatted(
            map.rows(),
            map.names().row(),
            map.columns(),
            map.names().column(),
            map.unit().format(most));
  }
}
