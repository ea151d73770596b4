package io.moextend.report;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.moe.TokenGroup;
import io.moextend.stage.ExpertGroup;
import io.moextend.stage.RoutingFile;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.GroupLoad;
import io.moextend.stage.RoutingStatistics.Layer;
import io.moextend.stage.RoutingStatistics.Load;
import io.moextend.stage.VisionTokens;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class RoutingReportTest {
  private static final List<ExpertGroup> GROUPS =
      List.of(
          new ExpertGroup("vision-intra", 0, 1, TokenGroup.VISION),
          new ExpertGroup("inter", 1, 2, TokenGroup.ALL),
          new ExpertGroup("text-intra", 3, 1, TokenGroup.TEXT));

  private static ExpertLoad expert(int expert, long slots, long of, double weight) {
    return new ExpertLoad(expert, slots, 100.0 * slots / of, weight, 25);
  }

  private static GroupLoad group(String name, long slots, long of) {
    return new GroupLoad(name, slots, 100.0 * slots / of);
  }

  private static Load vision() {
    return new Load(
        TokenGroup.VISION,
        8,
        1.5,
        0.946,
        List.of(0, 1),
        List.of(group("vision-intra", 8, 16), group("inter", 8, 16)),
        List.of(expert(0, 8, 16, 0.6125), expert(1, 6, 16, 0.5), expert(2, 2, 16, 0.25)));
  }

  private static Load text(TokenGroup tokens) {
    return new Load(
        tokens,
        10,
        1.25,
        0.789,
        List.of(2, 3),
        List.of(group("inter", 15, 20), group("text-intra", 5, 20)),
        List.of(expert(1, 0, 20, 0), expert(2, 15, 20, 0.625), expert(3, 5, 20, 0.125)));
  }

  private static Load all() {
    return new Load(
        TokenGroup.ALL,
        18,
        1.75,
        0.875,
        List.of(2, 0),
        List.of(group("vision-intra", 8, 36), group("inter", 23, 36), group("text-intra", 5, 36)),
        List.of(
            expert(0, 8, 36, 0.6),
            expert(1, 6, 36, 0.5),
            expert(2, 17, 36, 0.5),
            expert(3, 5, 36, 0.1)));
  }

  private static RoutingStatistics moiie(boolean pictures) {
    List<Load> loads =
        pictures
            ? List.of(all(), vision(), text(TokenGroup.TEXT))
            : List.of(text(TokenGroup.ALL), text(TokenGroup.TEXT));
    return new RoutingStatistics(
        "moiie",
        2,
        VisionTokens.PATCHES_BEFORE_A_PATCH,
        3,
        pictures ? 8 : 0,
        10,
        List.of(new Layer(1, GROUPS, loads), new Layer(3, GROUPS, loads)));
  }

  private static String html(RoutingStatistics routing) {
    return RoutingReport.of(
            new RoutingFile(new RoutingFile.Source("sha256:aa", "<pope>.json"), routing))
        .html();
  }

  private static long count(String text, String part) {
    return Pattern.compile(part, Pattern.LITERAL).matcher(text).results().count();
  }

  @Test
  void thePageAsksForNothingAndHoldsTheFigures() {
    String html = html(moiie(true));
    assertThat(html)
        .doesNotContain("<script", "http:", "https:", "<link", "url(", "NaN", "<pope>")
        .contains("&lt;pope&gt;.json", "sha256:aa", "8 vision and 10 text tokens of 3 samples")
        .contains("the last patch of an image is routed as text")
        .contains("<title>layer 3, expert 0: 50.0 %</title>", "0.6125")
        .contains("Experts of vision tokens", "Experts of text tokens", "Experts of all tokens");
    assertThat(count(html, "class=\"frame\""))
        .as("two experts, two layers, three maps")
        .isEqualTo(12);
  }

  @Test
  void expertsThatTokensCannotChooseAreBlankAndNotZero() {
    String html = html(moiie(true));
    assertThat(html).contains("Empty: experts these tokens cannot choose.");
    assertThat(count(html, "<title>layer 1, expert 3: ")).as("not of vision").isEqualTo(2);
    assertThat(count(html, "<title>layer 1, expert 0: ")).as("not of text").isEqualTo(2);
    assertThat(count(html, "<title>layer 1, expert 1: 0.0 %</title>"))
        .as("free to be chosen, and never was")
        .isEqualTo(1);
  }

  @Test
  void withoutPicturesTheVisionTokensAreSaidToBeMissing() {
    String html = html(moiie(false));
    assertThat(html)
        .contains("The samples had no vision tokens.", "Experts of text tokens")
        .doesNotContain("Experts of vision tokens", "Experts of all tokens", "NaN");
  }

  @Test
  void modelsStandSideBySide() {
    var models = new LinkedHashMap<String, RoutingStatistics>();
    models.put("MoIIE", moiie(true));
    models.put("words alone", moiie(false));
    Table table = new RoutingComparison(models).table();
    assertThat(table.rows())
        .containsExactly(
            List.of(
                "MoIIE",
                "moiie",
                "94.6",
                "78.9",
                "vision-intra 50.0 %, inter 50.0 %",
                "inter 75.0 %, text-intra 25.0 %"),
            List.of(
                "words alone",
                "moiie",
                "no tokens",
                "78.9",
                "",
                "inter 75.0 %, text-intra 25.0 %"));
  }
}
