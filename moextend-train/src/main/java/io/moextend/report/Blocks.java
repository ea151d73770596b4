package io.moextend.report;

import java.util.Arrays;
import java.util.List;

/** The markup of each kind of block. */
final class Blocks {
  private Blocks() {}

  static void append(Html out, Block block) {
    switch (block) {
      case Paragraph(String text) -> out.element("p", text);
      case Callout(String headline, String text) -> callout(out, headline, text);
      case KeyFigures(List<KeyFigures.Figure> figures) -> figures(out, figures);
      case Table table -> table(out, table);
      case LineChart chart -> LineDrawing.append(out, chart);
      case BarChart chart -> BarDrawing.append(out, chart);
      case HeatMap map -> HeatDrawing.append(out, map);
      case Gallery(String caption, List<Gallery.Picture> pictures) ->
          gallery(out, caption, pictures);
      case Details(String summary, List<Block> blocks) -> details(out, summary, blocks);
    }
    out.line();
  }

  static void details(Html out, String summary, List<Block> blocks) {
    out.open("details").element("summary", summary);
    for (Block block : blocks) {
      append(out, block);
    }
    out.close("details");
  }

  private static void callout(Html out, String headline, String text) {
    out.open("div", "class", "callout", "role", "note");
    out.element("strong", headline).element("p", text).close("div");
  }

  private static void figures(Html out, List<KeyFigures.Figure> figures) {
    out.open("dl", "class", "figures");
    for (KeyFigures.Figure figure : figures) {
      out.open("div").element("dt", figure.label()).element("dd", figure.value());
      if (!figure.note().isEmpty()) {
        out.element("dd", figure.note(), "class", "note");
      }
      out.close("div");
    }
    out.close("dl");
  }

  private static void table(Html out, Table table) {
    // a scrolled region must be reachable by keyboard, and then needs a name
    out.open(
        "div", "class", "scroll", "tabindex", 0, "role", "region", "aria-label", table.caption());
    boolean numbersAlone = table.columns().stream().allMatch(Table.Column::isNumeric);
    if (numbersAlone) {
      out.open("table", "class", "numbers");
    } else {
      out.open("table");
    }
    out.element("caption", table.caption()).open("thead").open("tr");
    for (Table.Column column : table.columns()) {
      out.open("th", attributes(!numbersAlone && column.isNumeric(), "scope", "col"));
      out.text(column.name()).close("th");
    }
    out.close("tr").close("thead").open("tbody");
    for (int i = 0; i < table.rows().size(); i++) {
      row(out, table, i, numbersAlone);
    }
    out.close("tbody").close("table").close("div");
  }

  private static void row(Html out, Table table, int index, boolean numbersAlone) {
    if (table.cutAfter() == index + 1) {
      out.open("tr", "class", "cut");
    } else {
      out.open("tr");
    }
    List<String> cells = table.rows().get(index);
    for (int c = 0; c < cells.size(); c++) {
      boolean isClassed = !numbersAlone && table.columns().get(c).isNumeric();
      String tag = c == 0 ? "th" : "td";
      out.open(tag, c == 0 ? attributes(isClassed, "scope", "row") : attributes(isClassed));
      out.text(cells.get(c)).close(tag);
    }
    out.close("tr").line();
  }

  /** A table of numbers alone is styled as a whole; that keeps large ones small. */
  private static Object[] attributes(boolean isClassed, Object... others) {
    if (!isClassed) {
      return others;
    }
    Object[] all = Arrays.copyOf(others, others.length + 2);
    all[others.length] = "class";
    all[others.length + 1] = "n";
    return all;
  }

  private static void gallery(Html out, String caption, List<Gallery.Picture> pictures) {
    out.open("figure", "class", "gallery").element("figcaption", caption);
    out.open("div");
    for (Gallery.Picture picture : pictures) {
      out.open("figure").open("img", "src", picture.dataUri(), "alt", picture.alternative());
      out.element("figcaption", picture.caption()).close("figure");
    }
    out.close("div").close("figure");
  }
}
