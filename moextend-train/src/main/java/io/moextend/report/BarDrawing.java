package io.moextend.report;

import java.util.List;
import java.util.Locale;

/** A {@link BarChart} as a table whose cells hold bars: read aloud it is a table of numbers. */
final class BarDrawing {
  private BarDrawing() {}

  static void append(Html out, BarChart chart) {
    double most = largest(chart);
    out.open("figure");
    if (chart.series().size() > 1 || !chart.referenceName().isEmpty()) {
      out.element("figcaption", chart.title());
      legend(out, chart);
      out.open("table", "class", "bars").element("caption", chart.title(), "class", "hidden");
    } else {
      out.open("table", "class", "bars").element("caption", chart.title());
    }
    for (BarChart.Bar bar : chart.bars()) {
      row(out, chart, bar, most);
    }
    out.close("table").close("figure");
  }

  private static double largest(BarChart chart) {
    if (chart.unit() == Unit.PERCENT) {
      return 1;
    }
    double most = 0;
    for (BarChart.Bar bar : chart.bars()) {
      for (double value : bar.values()) {
        most = Math.max(most, value);
      }
      Double reference = bar.reference();
      most = Math.max(most, reference == null ? 0 : reference);
    }
    return most == 0 ? 1 : most;
  }

  private static void legend(Html out, BarChart chart) {
    out.open("ul", "class", "legend", "aria-hidden", "true");
    for (int i = 0; i < chart.series().size(); i++) {
      out.open("li").open("i", "class", "b" + i).close("i").text(chart.series().get(i));
      out.close("li");
    }
    if (!chart.referenceName().isEmpty()) {
      out.open("li").open("i", "class", "mark").close("i").text(chart.referenceName());
      out.close("li");
    }
    out.close("ul");
  }

  private static void row(Html out, BarChart chart, BarChart.Bar bar, double most) {
    out.open("tr").element("th", bar.label(), "scope", "row");
    out.open("td", "class", "track");
    for (int i = 0; i < bar.values().size(); i++) {
      String width = "width:" + share(bar.values().get(i), most);
      out.open("div", "class", "b" + i, "style", width, "aria-hidden", "true").close("div");
    }
    Double reference = bar.reference();
    if (reference != null) {
      String left = "left:" + share(reference, most);
      String name = chart.referenceName() + " " + chart.unit().format(reference);
      out.open("span", "class", "mark", "style", left, "title", name);
      out.element("span", name, "class", "hidden").close("span");
    }
    out.close("td").open("td", "class", "n");
    List<Double> values = bar.values();
    for (int i = 0; i < values.size(); i++) {
      if (values.size() > 1) {
        out.element("span", chart.series().get(i) + " ", "class", "hidden");
      }
      out.element("div", chart.unit().format(values.get(i)));
    }
    out.close("td").close("tr").line();
  }

  private static String share(double value, double most) {
    return String.format(Locale.ROOT, "%.1f%%", Math.min(100, 100 * value / most));
  }
}
