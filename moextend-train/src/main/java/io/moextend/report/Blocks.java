package io.moextend.report;

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
    out.open("table").element("caption", table.caption()).open("thead").open("tr");
    for (Table.Column column : table.columns()) {
      if (column.isNumeric()) {
        out.element("th", column.name(), "scope", "col", "class", "n");
      } else {
        out.element("th", column.name(), "scope", "col");
      }
    }
    out.close("tr").close("thead").open("tbody");
    for (int i = 0; i < table.rows().size(); i++) {
      row(out, table, i);
    }
    out.close("tbody").close("table").close("div");
  }

  private static void row(Html out, Table table, int index) {
    if (table.cutAfter() == index + 1) {
      out.open("tr", "class", "cut");
    } else {
      out.open("tr");
    }
    List<String> cells = table.rows().get(index);
    for (int c = 0; c < cells.size(); c++) {
      boolean numeric = table.columns().get(c).isNumeric();
      if (c == 0) {
        Object[] attributes =
            numeric ? new Object[] {"scope", "row", "class", "n"} : new Object[] {"scope", "row"};
        out.element("th", cells.get(c), attributes);
      } else if (numeric) {
        out.element("td", cells.get(c), "class", "n");
      } else {
        out.element("td", cells.get(c));
      }
    }
    out.close("tr").line();
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
