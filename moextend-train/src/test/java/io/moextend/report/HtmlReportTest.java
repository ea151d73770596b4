package io.moextend.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.report.LineChart.Point;
import io.moextend.report.LineChart.Scale;
import io.moextend.report.LineChart.Series;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Document;
import org.xml.sax.InputSource;

class HtmlReportTest {
  private static final byte[] PIXEL = {1, 2, 3};

  @ParameterizedTest
  @ValueSource(
      strings = {
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style></title></svg><script>alert(1)</script>",
        "javascript:alert(1)//]]>-->",
        "&lt;b&gt; & \u0000\u001b[31m \uD800 \uFFFE \u202e"
      })
  void hostileTextStaysText(String hostile) throws Exception {
    String html = everything(hostile).html();
    Document page = parse(html);
    Document plain = parse(everything("x").html());

    assertThat(page.getElementsByTagName("*").getLength())
        .as("a name must not make an element")
        .isEqualTo(plain.getElementsByTagName("*").getLength());
    assertThat(page.getElementsByTagName("script").getLength()).isZero();
    assertThat(attributeNames(page)).isEqualTo(attributeNames(plain));
    String seen = hostile.replaceAll("[\u0000\u001b\uD800\uFFFE]", "\uFFFD");
    assertThat(page.getElementsByTagName("h1").item(0).getTextContent()).isEqualTo(seen);
  }

  @Test
  void aReportAsksForNothingOutsideItself() {
    String html = everything("name").html();
    assertThat(html)
        .startsWith("<!DOCTYPE html>")
        .contains("default-src &#39;none&#39;")
        .doesNotContain("http:", "https:", "<script", "<link", "@import", "url(");
    Matcher sources = Pattern.compile("(?:src|href)=\"([^\"]*)\"").matcher(html);
    while (sources.find()) {
      assertThat(sources.group(1)).matches("(#|data:image/).*");
    }
  }

  @Test
  void everyTableHasACaptionAndEveryDrawingAName() throws Exception {
    Document page = parse(everything("name").html());
    var tables = page.getElementsByTagName("table");
    assertThat(tables.getLength()).isGreaterThan(2);
    for (int i = 0; i < tables.getLength(); i++) {
      assertThat(tables.item(i).getFirstChild().getNodeName()).isEqualTo("caption");
    }
    var drawings = page.getElementsByTagName("svg");
    for (int i = 0; i < drawings.getLength(); i++) {
      var attributes = drawings.item(i).getAttributes();
      boolean isNamed = attributes.getNamedItem("aria-label") != null;
      assertThat(isNamed || attributes.getNamedItem("aria-hidden") != null).isTrue();
    }
    var images = page.getElementsByTagName("img");
    assertThat(images.item(0).getAttributes().getNamedItem("alt").getNodeValue()).isEqualTo("name");
  }

  @Test
  void inksAreReadableOnTheirGrounds() throws IOException {
    String css = Files.readString(Path.of("src/main/resources/io/moextend/report/report.css"));
    String[] themes = css.split("@media\\(prefers-color-scheme:dark\\)");
    for (String theme : List.of(themes[0], themes[1])) {
      double[] ground = colour(theme, "bg");
      for (String ink : List.of("ink", "soft", "link", "warn")) {
        assertThat(contrast(colour(theme, ink), ground)).as(ink).isGreaterThan(4.5);
      }
      for (String line : List.of("c0", "c1", "c2", "c3", "c4", "c5")) {
        assertThat(contrast(colour(theme, line), ground)).as(line).isGreaterThan(3);
      }
      for (String fill : List.of("heat", "rise", "fall")) {
        double[] full = colour(theme, fill);
        double[] shaded = new double[3];
        for (int i = 0; i < 3; i++) {
          shaded[i] = 0.7 * full[i] + 0.3 * ground[i];
        }
        assertThat(contrast(colour(theme, "ink"), shaded)).as("ink on " + fill).isGreaterThan(4.5);
      }
    }
  }

  @Test
  void aLongRunMakesASmallDrawingThatKeepsItsPeaks() {
    List<Point> points = new ArrayList<>();
    for (int i = 0; i < 200_000; i++) {
      points.add(new Point(i, i == 123_456 ? 50 : Math.sin(i)));
    }
    String html = chart(Scale.LINEAR, points);
    assertThat(html.length()).isLessThan(20_000);
    Matcher path = Pattern.compile("class=\"s0\" d=\"M([^\"]*)\"").matcher(html);
    assertThat(path.find()).isTrue();
    double top = 1000;
    String[] numbers = path.group(1).split(" ");
    for (int i = 1; i < numbers.length; i += 2) {
      top = Math.min(top, Double.parseDouble(numbers[i]));
    }
    assertThat(top).as("the peak reaches the top of the drawing").isEqualTo(28);
  }

  @Test
  void aChartSaysHowManyValuesItCannotShow() {
    List<Point> points =
        List.of(new Point(0, 0), new Point(1, -3), new Point(2, 10), new Point(3, 1000));
    assertThat(chart(Scale.LOG, points)).contains("2 values are not above 0 and left out.");
    assertThat(chart(Scale.LINEAR, List.of(new Point(0, Double.NaN), new Point(1, 1))))
        .contains("1 values are not finite and left out.");
    assertThat(chart(Scale.LINEAR, List.of())).contains("Nothing was recorded.");
  }

  @Test
  void aRowOfTheWrongLengthIsRefusedByItsTable() {
    assertThatThrownBy(
            () ->
                new Table(
                    "Runs",
                    List.of(Table.Column.words("a"), Table.Column.numbers("b")),
                    List.of(List.of("1", "2"), List.of("3"))))
        .hasMessage("row 1 of table 'Runs' has 1 cells for 2 columns");
  }

  @Test
  void aPictureFromTheNetIsRefused() {
    assertThatThrownBy(() -> new Gallery.Picture("https://example.org/a.png", "a", "b"))
        .hasMessage("a report carries its pictures: data:image/… only");
  }

  @Test
  void aWrittenReportIsWhole(@TempDir Path folder) throws IOException {
    HtmlReport report = everything("ünïcödé 🙂");
    Path file = folder.resolve("new/report.html");
    report.write(file);
    assertThat(Files.readString(file)).isEqualTo(report.html()).contains("ünïcödé 🙂");
    assertThat(file.resolveSibling("report.html.part")).doesNotExist();
  }

  private static HtmlReport everything(String s) {
    List<Block> blocks =
        List.of(
            new Paragraph(s),
            new Callout(s, s),
            new KeyFigures(List.of(new KeyFigures.Figure(s, s, s))),
            new Table(
                s,
                List.of(Table.Column.words(s), Table.Column.numbers(s)),
                List.of(List.of(s, s), List.of(s, s)),
                1),
            new LineChart(
                s,
                s,
                s,
                Scale.LOG,
                List.of(
                    new Series(s, List.of(new Point(0, 1), new Point(1, 20))),
                    new Series(s, List.of(new Point(0, 3)), LineChart.Stroke.FAINT))),
            new BarChart(
                s,
                Unit.PERCENT,
                List.of(s, s),
                s,
                List.of(new BarChart.Bar(s, List.of(0.5, 1.0), 0.25))),
            new HeatMap(
                s,
                new HeatMap.Names(s, s, List.of(s, s), List.of(s, s)),
                List.of(List.of(0.0, 0.5), List.of(-0.25, 1.0)),
                Unit.POINTS,
                HeatMap.Shade.AROUND_ZERO,
                new HeatMap.Marks(
                    Set.of(new HeatMap.Cell(1, 1)), Set.of(1), Set.of(new HeatMap.Cell(0, 0)), s)),
            new Gallery(s, List.of(Gallery.Picture.png(PIXEL, s, s))));
    return new HtmlReport(
        s,
        s,
        List.of(
            new Section(s, blocks),
            Section.of(s, new Details(s, List.of(new Paragraph(s)))),
            Section.of(s)));
  }

  private static String chart(Scale scale, List<Point> points) {
    String html =
        new HtmlReport(
                "t",
                "",
                List.of(
                    Section.of(
                        "s",
                        new LineChart("c", "x", "y", scale, List.of(new Series("a", points))))))
            .html();
    return html.substring(html.indexOf("<main>"));
  }

  /** Reads the page as XML once the elements without an end have one. */
  private static Document parse(String html) throws Exception {
    String xml =
        html.replaceFirst("<!DOCTYPE html>\n", "")
            .replaceAll("<((?:meta|img)\\b[^>]*)>", "<$1/>")
            .replaceFirst("(?s)<style>.*?</style>", "");
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(xml)));
  }

  private static List<String> attributeNames(Document page) {
    List<String> names = new ArrayList<>();
    var all = page.getElementsByTagName("*");
    for (int i = 0; i < all.getLength(); i++) {
      var attributes = all.item(i).getAttributes();
      for (int a = 0; a < attributes.getLength(); a++) {
        names.add(all.item(i).getNodeName() + "@" + attributes.item(a).getNodeName());
      }
    }
    return names;
  }

  private static double[] colour(String theme, String name) {
    Matcher m = Pattern.compile("--" + name + ":#([0-9a-f]{6})").matcher(theme);
    assertThat(m.find()).as(name).isTrue();
    int rgb = Integer.parseInt(m.group(1), 16);
    return new double[] {rgb >> 16 & 255, rgb >> 8 & 255, rgb & 255};
  }

  /** WCAG 2.2, contrast ratio. */
  private static double contrast(double[] a, double[] b) {
    double la = luminance(a);
    double lb = luminance(b);
    return (Math.max(la, lb) + 0.05) / (Math.min(la, lb) + 0.05);
  }

  private static double luminance(double[] rgb) {
    double[] weights = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
      double c = rgb[i] / 255;
      sum += weights[i] * (c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
  }
}
