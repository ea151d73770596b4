package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.config.ConfigException;
import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RoutingCensusTest {
  @Test
  void textAndImageTokensAreKeptApartAndPaddingCountsForNothing() {
    RoutingCensus census = new RoutingCensus(2, 3);
    int[] chosen = {0, 1, 2, 1, 2, 0, 1, 0}; // 4 tokens, 2 each
    census.addTokens(1, chosen, 2, bits(0, 1, 2), bits(1, 3));

    assertThat(census.count(1, Modality.TEXT, 0)).isEqualTo(2);
    assertThat(census.count(1, Modality.TEXT, 1)).isEqualTo(1);
    assertThat(census.count(1, Modality.TEXT, 2)).isEqualTo(1);
    assertThat(census.count(1, Modality.IMAGE, 0)).isZero();
    assertThat(census.count(1, Modality.IMAGE, 1)).isEqualTo(1);
    assertThat(census.count(1, Modality.IMAGE, 2)).isEqualTo(1);
    assertThat(census.total(1)).isEqualTo(6);
    assertThat(census.total(0)).isZero();
    assertThat(census.has(Modality.TEXT)).isFalse();
  }

  @Test
  void twoHalvesMergedEqualTheWholeInAnyOrder() {
    long seed = 20;
    Random random = new Random(seed);
    RoutingCensus whole = new RoutingCensus(3, 5);
    RoutingCensus left = new RoutingCensus(3, 5);
    RoutingCensus right = new RoutingCensus(3, 5);
    for (int i = 0; i < 400; i++) {
      Modality modality = random.nextBoolean() ? Modality.TEXT : Modality.IMAGE;
      int layer = random.nextInt(3);
      int expert = random.nextInt(5);
      whole.add(layer, modality, expert, 1);
      (random.nextBoolean() ? left : right).add(layer, modality, expert, 1);
    }
    RoutingCensus overWire = RoutingCensus.ofFlat(3, 5, right.flat());
    overWire.add(left);
    left.add(right);

    assertThat(left.flat()).as("seed %d", seed).isEqualTo(whole.flat());
    assertThat(overWire.flat()).as("seed %d", seed).isEqualTo(whole.flat());
  }

  @Test
  void sharesOfALayerAddUpToOneForEachModality() {
    RoutingCensus census = new RoutingCensus(1, 4);
    for (int e = 0; e < 4; e++) {
      census.add(0, Modality.TEXT, e, 3 + e);
      census.add(0, Modality.IMAGE, e, 10 - e);
    }
    assertThat(census.fractions()[0]).containsExactly(0.25, 0.25, 0.25, 0.25);
    assertThat(census.fractions(Modality.TEXT)[0][3]).isEqualTo(6.0 / 18);
    assertThat(census.fractions(Modality.IMAGE)[0][0]).isEqualTo(10.0 / 34);
  }

  @Test
  void anEmptyLayerHasNoSharesAndTheErrorNamesIt() {
    RoutingCensus census = new RoutingCensus(2, 2);
    census.add(0, Modality.TEXT, 1, 5);
    assertThatThrownBy(census::fractions)
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "census.layer[1]=0 tokens: nothing was counted there; run the model over at least one"
                + " sample that has some");
  }

  @Test
  void censusesOfDifferentModelsAreNotMerged() {
    assertThatThrownBy(() -> new RoutingCensus(2, 4).add(new RoutingCensus(2, 8)))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "census=2 layers of 8 experts: this one has 2 layers of 4 experts; count both with the same model");
  }

  @Test
  void aFlatCensusOfTheWrongLengthOrWithANegativeCountIsRefused() {
    assertThatThrownBy(() -> RoutingCensus.ofFlat(1, 2, new long[3]))
        .hasMessage("census.length=3: 1 layers of 2 experts need 4 counts");
    assertThatThrownBy(() -> RoutingCensus.ofFlat(1, 2, new long[] {0, 0, -1, 0}))
        .hasMessage("census[2]=-1: a count is never negative");
  }

  @Test
  void anExpertTheModelDoesNotHaveIsRefused() {
    assertThatThrownBy(() -> new RoutingCensus(2, 4).add(1, Modality.TEXT, 4, 1))
        .hasMessage("layer 1, expert 4 in a census of 2 layers of 4 experts");
  }

  private static BitSet bits(int... set) {
    BitSet bits = new BitSet();
    for (int i : set) {
      bits.set(i);
    }
    return bits;
  }
}
