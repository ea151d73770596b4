package io.moextend.report;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.stage.CountingMode;
import io.moextend.stage.ExpertDistribution;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.Modality;
import io.moextend.stage.RoutingCensus;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class ExpertDistributionReportTest {
  private static final long SEED = 5;

  @Test
  void theAsPublishedModeStandsInBigLettersAndThePapersDoesNot() {
    assertThat(html(CountingMode.AS_PUBLISHED, true))
        .contains("<strong>MODE: AS-PUBLISHED</strong>", "<dd>as-published</dd>");
    assertThat(html(CountingMode.PAPER, true))
        .contains("<dd>paper</dd>")
        .doesNotContain("class=\"callout\"");
  }

  @Test
  void theRankingHasItsCutAndTheMapsTheirMarks() {
    String html = html(CountingMode.PAPER, true);
    assertThat(html).contains("<dd>3 of 6</dd>");
    assertThat(count(html, "<tr class=\"cut\">")).isEqualTo(1);
    int cut = html.indexOf("<tr class=\"cut\">");
    assertThat(count(html.substring(0, cut), "<td>extended</td>")).isEqualTo(2);
    assertThat(count(html, "<td>extended</td>")).isEqualTo(3);
    assertThat(count(html, "class=\"frame\"")).as("donors on 7 maps").isEqualTo(7 * 3);
    assertThat(count(html, "<title>layer 5, expert 3: ")).isEqualTo(7);
  }

  @Test
  void withoutPicturesTheImageTokensAreSaidToBeMissing() {
    assertThat(html(CountingMode.PAPER, false))
        .contains("The samples had no image tokens.")
        .contains("After, text tokens");
  }

  @Test
  void aTieAtTheCutIsSaid() {
    RoutingCensus before = new RoutingCensus(2, 2);
    RoutingCensus after = new RoutingCensus(2, 2);
    for (int l = 0; l < 2; l++) {
      before.add(l, Modality.TEXT, 0, 5);
      before.add(l, Modality.TEXT, 1, 5);
      after.add(l, Modality.TEXT, l, 8);
      after.add(l, Modality.TEXT, 1 - l, 2);
    }
    ExpertDistribution d = ExpertDistribution.between(before, after, CountingMode.PAPER);
    assertThat(ExpertDistributionReport.of(before, after, d, source()).html())
        .contains("Layers 0, 1 have the same score and lie on both sides of the cut");
  }

  private static String html(CountingMode mode, boolean withImages) {
    RoutingCensus before = census(SEED, withImages);
    RoutingCensus after = census(SEED + 1, withImages);
    ExpertDistribution d = ExpertDistribution.between(before, after, mode);
    return ExpertDistributionReport.of(before, after, d, source()).html();
  }

  private static RoutingCensus census(long seed, boolean withImages) {
    Random random = new Random(seed);
    RoutingCensus census = new RoutingCensus(6, 4);
    for (int l = 0; l < 6; l++) {
      for (int e = 0; e < 4; e++) {
        census.add(l, Modality.TEXT, e, 1 + random.nextInt(100));
        census.add(l, Modality.IMAGE, e, withImages ? 1 + random.nextInt(300) : 0);
      }
    }
    return census;
  }

  private static ExtensionPlan.Source source() {
    return new ExtensionPlan.Source("sha256:aa", "sha256:bb", "sample.json", 100, 5000);
  }

  private static long count(String text, String part) {
    return Pattern.compile(part, Pattern.LITERAL).matcher(text).results().count();
  }
}
