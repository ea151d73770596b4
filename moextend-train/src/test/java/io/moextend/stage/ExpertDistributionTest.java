package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.stage.ExpertDistribution.LayerScore;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class ExpertDistributionTest {
  /** 156 tokens, two experts each: every published share is a multiple of 1/312. */
  private static final int GOLDEN_SLOTS = 312;

  @Test
  void thePublishedCountSelectsThePublishedLayerAndDonor() throws IOException {
    JsonNode golden = golden();
    ExpertDistribution got =
        ExpertDistribution.between(
            shares(golden.get("before(layer->expert->fraction)")),
            shares(golden.get("after")),
            CountingMode.AS_PUBLISHED);
    assertGolden(got, golden, golden.get("std_of_difference(ddof=1)"));
    assertThat(got.mode()).isEqualTo(CountingMode.AS_PUBLISHED);
  }

  @Test
  void thePapersCountSelectsAnotherLayerAndDonor() throws IOException {
    JsonNode golden = golden().get("intended_argsort_descending");
    ExpertDistribution got =
        ExpertDistribution.between(
            shares(golden.get("before")), shares(golden.get("after")), CountingMode.PAPER);
    assertGolden(got, golden, golden.get("std"));
    assertThat(got.selected().getFirst().layer()).isEqualTo(2);
  }

  @Test
  void censusesGiveWhatTheirSharesGive() throws IOException {
    JsonNode golden = golden().get("intended_argsort_descending");
    double[][] before = shares(golden.get("before"));
    double[][] after = shares(golden.get("after"));
    ExpertDistribution got =
        ExpertDistribution.between(census(before), census(after), CountingMode.PAPER);
    assertGolden(got, golden, golden.get("std"));
    assertThat(got.difference(0, 1)).isCloseTo(after[0][1] - before[0][1], within(1e-15));
  }

  @Test
  void layersOfEqualScoreAreTakenFromTheLowestAndSaidToBeTied() {
    double[][] before = {{0.5, 0.5}, {0.1, 0.9}, {0.7, 0.3}, {0.25, 0.75}};
    double[][] after = {{0.5, 0.5}, {0.2, 0.8}, {0.6, 0.4}, {0.35, 0.65}};
    ExpertDistribution got = ExpertDistribution.between(before, after, CountingMode.PAPER);

    assertThat(got.selected()).extracting(LayerScore::layer).containsExactly(1, 2);
    assertThat(got.ranking()).extracting(LayerScore::layer).containsExactly(1, 2, 3, 0);
    assertThat(got.tiedAtCut()).containsExactly(1, 2, 3);
  }

  @Test
  void aClearCutHasNoTies() {
    double[][] before = {{0.5, 0.5}, {0.5, 0.5}};
    double[][] after = {{0.5, 0.5}, {0.4, 0.6}};
    ExpertDistribution got = ExpertDistribution.between(before, after, CountingMode.PAPER);
    assertThat(got.selected()).extracting(LayerScore::layer).containsExactly(1);
    assertThat(got.tiedAtCut()).isEmpty();
  }

  @Test
  void theDonorIsTheFirstOfTheMostUsedAfterwards() {
    double[][] before = {{0.9, 0.1, 0.0}, {0.2, 0.4, 0.4}};
    double[][] after = {{0.2, 0.4, 0.4}, {0.2, 0.4, 0.4}};
    ExpertDistribution got = ExpertDistribution.between(before, after, CountingMode.PAPER);
    assertThat(got.selected().getFirst().donor()).isEqualTo(1);
    assertThat(got.selected().getFirst().donorShare()).isEqualTo(0.4);
  }

  @Test
  void halfOfTheLayersIsRoundedDown() {
    double[][] shares = {{0.5, 0.5}, {0.5, 0.5}, {0.5, 0.5}, {0.5, 0.5}, {0.5, 0.5}};
    assertThat(ExpertDistribution.between(shares, shares, CountingMode.PAPER).selected())
        .hasSize(2);
  }

  @Test
  void aModelOfOneLayerNeedsToBeToldHowManyToExtend() {
    double[][] shares = {{0.5, 0.5}};
    assertThatThrownBy(() -> ExpertDistribution.between(shares, shares, CountingMode.PAPER))
        .hasMessage(
            "layersToExtend=0: choose 1 to 1; the default is half of the layers, rounded down");
    assertThat(ExpertDistribution.between(shares, shares, CountingMode.PAPER, 1).selected())
        .hasSize(1);
  }

  @Test
  void sharesThatAreNoneAreRefusedByLayer() {
    double[][] good = {{0.5, 0.5}, {0.5, 0.5}};
    double[][] bad = {{0.5, 0.5}, {0.5, 0.6}};
    assertThatThrownBy(() -> ExpertDistribution.between(good, bad, CountingMode.PAPER))
        .hasMessage("after.layer[1]=1.1: the shares of a layer add up to 1");
    double[][] nan = {{Double.NaN, 0.5}, {0.5, 0.5}};
    assertThatThrownBy(() -> ExpertDistribution.between(nan, good, CountingMode.PAPER))
        .hasMessage("before.layer[0]=NaN: a share lies in [0, 1]");
  }

  private static void assertGolden(ExpertDistribution got, JsonNode golden, JsonNode scores) {
    for (LayerScore layer : got.ranking()) {
      double want = scores.get(Integer.toString(layer.layer())).asDouble();
      assertThat(layer.score()).as("layer %d", layer.layer()).isCloseTo(want, within(1e-12));
    }
    assertThat(got.selected()).hasSize(golden.get("selected_layers").size());
    for (int i = 0; i < got.selected().size(); i++) {
      assertThat(got.selected().get(i).layer())
          .isEqualTo(golden.get("selected_layers").get(i).asInt());
      assertThat(got.selected().get(i).donor())
          .isEqualTo(golden.get("expert_idxmax").get(i).asInt());
    }
  }

  private static RoutingCensus census(double[][] shares) {
    RoutingCensus census = new RoutingCensus(shares.length, shares[0].length);
    for (int l = 0; l < shares.length; l++) {
      for (int e = 0; e < shares[l].length; e++) {
        census.add(l, Modality.TEXT, e, Math.round(shares[l][e] * GOLDEN_SLOTS));
      }
    }
    return census;
  }

  private static double[][] shares(JsonNode byLayer) {
    double[][] out = new double[byLayer.size()][];
    for (int l = 0; l < out.length; l++) {
      JsonNode row = byLayer.get(Integer.toString(l));
      out[l] = new double[row.size()];
      for (int e = 0; e < out[l].length; e++) {
        out[l][e] = row.get(Integer.toString(e)).asDouble();
      }
    }
    return out;
  }

  private static JsonNode golden() throws IOException {
    return new JsonMapper()
        .readTree(Golden.path("moextend/expert_distribution/expected.json").toFile());
  }
}
