package io.moextend.report;

import io.moextend.config.ConfigException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/**
 * One HTML file that needs nothing beside it: style and pictures inside, no script, and a content
 * policy that forbids any request. Light or dark as the reader's system, one column on a phone, fit
 * for print.
 *
 * @param lead a sentence below the title: what was run, on what, when
 */
public record HtmlReport(String title, String lead, List<Section> sections) {
  private static final int SECTIONS_WORTH_A_LIST = 3;

  public HtmlReport {
    sections = List.copyOf(sections);
  }

  /** Writes the file whole or not at all. */
  public void write(Path file) {
    Path whole = file.toAbsolutePath();
    Path part = whole.resolveSibling(whole.getFileName() + ".part");
    try {
      Files.createDirectories(whole.getParent());
      Files.writeString(part, html());
      Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new ConfigException(file + ": the report cannot be written: " + e, e);
    }
  }

  /** The whole file. */
  public String html() {
    Html out = new Html();
    out.raw("<!DOCTYPE html>\n").open("html", "lang", "en").line();
    head(out);
    out.open("body").line().open("header");
    out.element("h1", title);
    if (!lead.isEmpty()) {
      out.element("p", lead, "class", "lead");
    }
    if (sections.size() >= SECTIONS_WORTH_A_LIST) {
      contents(out);
    }
    out.close("header").line().open("main").line();
    for (int i = 0; i < sections.size(); i++) {
      String id = "section-" + (i + 1);
      out.open("section", "aria-labelledby", id);
      out.element("h2", sections.get(i).heading(), "id", id).line();
      for (Block block : sections.get(i).blocks()) {
        Blocks.append(out, block);
      }
      out.close("section").line();
    }
    return out.close("main").line().close("body").close("html").line().toString();
  }

  private void head(Html out) {
    out.open("head").open("meta", "charset", "utf-8");
    out.open("meta", "name", "viewport", "content", "width=device-width, initial-scale=1");
    out.open("meta", "name", "color-scheme", "content", "light dark");
    out.open(
        "meta",
        "http-equiv",
        "Content-Security-Policy",
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:");
    out.element("title", title).line();
    out.open("style").raw(styleSheet()).close("style").close("head").line();
  }

  private void contents(Html out) {
    out.open("nav", "aria-label", "Contents").open("ul");
    for (int i = 0; i < sections.size(); i++) {
      out.open("li").open("a", "href", "#section-" + (i + 1));
      out.text(sections.get(i).heading()).close("a").close("li");
    }
    out.close("ul").close("nav");
  }

  private static String styleSheet() {
    try (InputStream in = HtmlReport.class.getResourceAsStream("report.css")) {
      if (in == null) {
        throw new IllegalStateException("report.css is missing beside HtmlReport");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException("report.css cannot be read", e);
    }
  }
}
