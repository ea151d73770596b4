package io.moextend.report;

import io.moextend.report.LineChart.Point;
import io.moextend.report.LineChart.Series;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.StringJoiner;
import java.util.function.ToDoubleFunction;

/** A {@link LineChart} as SVG. */
final class LineDrawing {
  private static final int WIDTH = 600;
  private static final int HEIGHT = 290;
  private static final int LEFT = 58;
  private static final int RIGHT = 14;
  private static final int TOP = 28;
  private static final int BOTTOM = 44;

  /** More columns of points than the drawing has pixels on a screen help nobody. */
  private static final int MOST_COLUMNS = 240;

  /** So few points are drawn as dots too. */
  private static final int FEW_POINTS = 24;

  private final LineChart chart;
  private final List<Series> drawn;
  private final Axis x;
  private final Axis y;

  private LineDrawing(LineChart chart, List<Series> drawn) {
    this.chart = chart;
    this.drawn = drawn;
    this.x = axis(Point::x, false, LEFT, WIDTH - RIGHT);
    this.y = axis(Point::y, chart.scale() == LineChart.Scale.LOG, HEIGHT - BOTTOM, TOP);
  }

  static void append(Html out, LineChart chart) {
    int dropped = 0;
    List<Series> drawn = new ArrayList<>();
    for (Series series : chart.series()) {
      List<Point> points = series.points().stream().filter(p -> isDrawn(chart, p)).toList();
      dropped += series.points().size() - points.size();
      drawn.add(new Series(series.name(), points, series.stroke()));
    }
    out.open("figure").element("figcaption", chart.title());
    if (drawn.stream().allMatch(s -> s.points().isEmpty())) {
      out.element("p", "Nothing was recorded.", "class", "note").close("figure");
      return;
    }
    new LineDrawing(chart, drawn).draw(out);
    if (dropped > 0) {
      String why = chart.scale() == LineChart.Scale.LOG ? "not above 0" : "not finite";
      out.element("p", dropped + " values are " + why + " and left out.", "class", "note");
    }
    out.close("figure");
  }

  private static boolean isDrawn(LineChart chart, Point p) {
    return Double.isFinite(p.x())
        && Double.isFinite(p.y())
        && (chart.scale() == LineChart.Scale.LINEAR || p.y() > 0);
  }

  private Axis axis(ToDoubleFunction<Point> value, boolean isLog, double from, double to) {
    double least = Double.POSITIVE_INFINITY;
    double most = Double.NEGATIVE_INFINITY;
    for (Series series : drawn) {
      for (Point point : series.points()) {
        least = Math.min(least, value.applyAsDouble(point));
        most = Math.max(most, value.applyAsDouble(point));
      }
    }
    return Axis.over(least, most, isLog, from, to);
  }

  private void draw(Html out) {
    if (drawn.size() > 1) {
      legend(out);
    }
    out.open(
        "svg",
        "viewBox",
        "0 0 " + WIDTH + " " + HEIGHT,
        "class",
        "line",
        "role",
        "img",
        "aria-label",
        description());
    grid(out);
    for (int i = 0; i < drawn.size(); i++) {
      line(out, drawn.get(i), style(i));
    }
    out.close("svg");
  }

  private void legend(Html out) {
    out.open("ul", "class", "legend");
    for (int i = 0; i < drawn.size(); i++) {
      out.open("li").open("svg", "viewBox", "0 0 26 8", "aria-hidden", "true");
      out.open("path", "class", style(i), "d", "M0 4H26").close("path").close("svg");
      out.text(drawn.get(i).name()).close("li");
    }
    out.close("ul");
  }

  /** Full lines take the colours in turn. */
  private String style(int series) {
    if (drawn.get(series).stroke() == LineChart.Stroke.FAINT) {
      return "faint";
    }
    long before =
        drawn.subList(0, series).stream().filter(s -> s.stroke() == LineChart.Stroke.FULL).count();
    return "s" + before;
  }

  private void grid(Html out) {
    for (double tick : y.ticks()) {
      String at = number(y.at(tick));
      out.open("path", "class", "g", "d", "M" + LEFT + " " + at + "H" + (WIDTH - RIGHT));
      out.close("path");
      out.element(
          "text", Numbers.compact(tick), "class", "e", "x", LEFT - 7, "y", at, "dy", ".35em");
    }
    for (double tick : x.ticks()) {
      String at = number(x.at(tick));
      out.open("path", "class", "g", "d", "M" + at + " " + (HEIGHT - BOTTOM) + "v5").close("path");
      out.element("text", Numbers.compact(tick), "class", "m", "x", at, "y", HEIGHT - BOTTOM + 19);
    }
    out.element("text", chart.xLabel(), "class", "e", "x", WIDTH - RIGHT, "y", HEIGHT - 5);
    String scale = chart.scale() == LineChart.Scale.LOG ? " (log)" : "";
    out.element("text", chart.yLabel() + scale, "x", 2, "y", 13);
  }

  private void line(Html out, Series series, String style) {
    if (series.points().isEmpty()) {
      return;
    }
    StringBuilder path = new StringBuilder("M");
    for (Point point : thinned(series.points())) {
      path.append(path.length() == 1 ? "" : " ");
      path.append(number(x.at(point.x()))).append(' ').append(number(y.at(point.y())));
    }
    out.open("path", "class", style, "d", path).element("title", series.name()).close("path");
    if (series.points().size() <= FEW_POINTS) {
      for (Point point : series.points()) {
        out.open(
            "circle",
            "class",
            style,
            "cx",
            number(x.at(point.x())),
            "cy",
            number(y.at(point.y())),
            "r",
            2.5);
        String value = Numbers.compact(point.x()) + ": " + Numbers.compact(point.y());
        out.element("title", series.name() + ", " + value).close("circle");
      }
    }
  }

  /** The least and the most of each column, in their order: peaks stay. */
  private List<Point> thinned(List<Point> points) {
    if (points.size() <= 2 * MOST_COLUMNS) {
      return points;
    }
    List<Point> kept = new ArrayList<>();
    for (int column = 0; column < MOST_COLUMNS; column++) {
      int from = (int) ((long) points.size() * column / MOST_COLUMNS);
      int to = (int) ((long) points.size() * (column + 1) / MOST_COLUMNS);
      int least = from;
      int most = from;
      for (int i = from; i < to; i++) {
        least = points.get(i).y() < points.get(least).y() ? i : least;
        most = points.get(i).y() > points.get(most).y() ? i : most;
      }
      kept.add(points.get(Math.min(least, most)));
      kept.add(points.get(Math.max(least, most)));
    }
    kept.add(points.getLast());
    return kept;
  }

  private String description() {
    StringJoiner text = new StringJoiner("; ", "Line chart of " + chart.yLabel() + ". ", ".");
    for (Series series : drawn) {
      if (!series.points().isEmpty()) {
        Point first = series.points().getFirst();
        Point last = series.points().getLast();
        text.add(
            "%s from %s at %s %s to %s at %s"
                .formatted(
                    series.name(),
                    Numbers.compact(first.y()),
                    chart.xLabel(),
                    Numbers.compact(first.x()),
                    Numbers.compact(last.y()),
                    Numbers.compact(last.x())));
      }
    }
    return text.toString();
  }

  /** One decimal is a tenth of a pixel. */
  static String number(double value) {
    String text = String.format(Locale.ROOT, "%.1f", value);
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }
}
