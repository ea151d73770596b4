package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.config.ConfigException;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import io.moextend.data.Batch;
import io.moextend.moe.TokenGroup;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.GroupLoad;
import io.moextend.stage.RoutingStatistics.Layer;
import io.moextend.stage.RoutingStatistics.Load;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class RoutingStatisticsTest {
  private static final long SEED = 20261122;
  private static final Scheme MOIIE = new Scheme.Moiie(4, 2, 0.01, 0.02, 0);

  private static FeedForwardConfig mixed(Scheme scheme) {
    return new FeedForwardConfig.Mixed(24, new TreeSet<>(List.of(1)), scheme);
  }

  static Stream<FeedForwardConfig> mixtures() {
    return Stream.of(
        mixed(MOIIE),
        mixed(new Scheme.Moiie(8, 3, 0.01, 0.02, 0)),
        mixed(new Scheme.Vanilla(5, 2, 0.01, 0)),
        mixed(new Scheme.Modality()),
        mixed(new Scheme.RoutedModality(3, 2, 2, 0.01, 0.02)),
        new FeedForwardConfig.Experts(24, 4, 2, new TreeSet<>(), 0.01),
        new FeedForwardConfig.Experts(24, 3, 2, new TreeSet<>(List.of(1)), 0.01));
  }

  static Stream<Arguments> onBothBackends() {
    return mixtures().flatMap(m -> Stream.of("cpu", "nd4j").map(b -> Arguments.of(b, m)));
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("onBothBackends")
  void everyFigureIsThatOfAPlainRecount(String backend, FeedForwardConfig feedForward) {
    Batch one = TinyMixture.batch(SEED, true);
    Batch two = TinyMixture.batch(SEED + 1, true);
    try (var model = new TinyMixture(backend, feedForward, SEED)) {
      RoutingStatistics got = model.statistics(one, two);
      boolean asRouted = feedForward instanceof FeedForwardConfig.Mixed;
      var layers = new TreeMap<Integer, Recount[]>();
      if (feedForward instanceof FeedForwardConfig.Mixed m
          && m.scheme() instanceof Scheme.Modality) {
        layers.put(1, Recount.byModality(one, two));
      } else {
        Recount.over(model, one, asRouted, layers);
        Recount.over(model, two, asRouted, layers);
      }
      assertThat(got.samples()).isEqualTo(6);
      assertThat(got.layers().stream().map(Layer::layer))
          .as("seed %d", SEED)
          .containsExactlyElementsOf(layers.keySet());
      boolean calibrated = got.scheme().equals("moextend");
      for (Layer layer : got.layers()) {
        for (TokenGroup tokens : TokenGroup.values()) {
          Recount wanted = layers.get(layer.layer())[tokens.ordinal()];
          assertThat(got.tokens(tokens)).isEqualTo(wanted.tokens);
          compare(layer, layer.load(tokens).orElseThrow(), wanted, got.topK(), calibrated);
        }
      }
    }
  }

  private static void compare(Layer layer, Load got, Recount wanted, int topK, boolean calibrated) {
    assertThat(got.count()).isEqualTo(wanted.tokens);
    double weights = 0;
    double bits = 0;
    for (int e = 0; e < layer.experts(); e++) {
      int expert = e;
      if (got.expert(e).isEmpty()) {
        assertThat(wanted.slots[e]).as("seed %d, expert %d", SEED, e).isZero();
        continue;
      }
      ExpertLoad load = got.expert(e).orElseThrow();
      double share = (double) wanted.slots[e] / (wanted.tokens * topK);
      assertThat(load.slots()).as("seed %d, expert %d", SEED, e).isEqualTo(wanted.slots[e]);
      assertThat(load.sharePercent()).isCloseTo(100 * share, within(1e-9));
      assertThat(load.firstChoicePercent())
          .isCloseTo(100.0 * wanted.first[e] / wanted.tokens, within(1e-9));
      if (!calibrated && wanted.slots[e] > 0) {
        assertThat(load.meanWeight())
            .as("seed %d, weight of expert %d", SEED, expert)
            .isCloseTo(wanted.weight[e] / wanted.slots[e], within(1e-5));
      }
      weights += load.meanWeight() * load.slots();
      bits -= share == 0 ? 0 : share * Math.log(share) / Math.log(2);
    }
    assertThat(weights).as("weights of a token add up to 1").isCloseTo(got.count(), within(1e-3));
    assertThat(got.entropyBits()).isCloseTo(bits, within(1e-9));
    for (GroupLoad group : got.groups()) {
      ExpertGroup of =
          layer.groups().stream()
              .filter(g -> g.name().equals(group.group()))
              .findFirst()
              .orElseThrow();
      assertThat(group.slots()).isEqualTo(Arrays.stream(wanted.slots, of.first(), of.end()).sum());
    }
    assertThat(got.groups().stream().mapToDouble(GroupLoad::sharePercent).sum())
        .isCloseTo(100, within(1e-9));
  }

  @ParameterizedTest
  @MethodSource("mixtures")
  void wordsAloneHaveNoVisionFigures(FeedForwardConfig feedForward) {
    try (var model = new TinyMixture("cpu", feedForward, SEED)) {
      RoutingStatistics got = model.statistics(TinyMixture.batch(SEED, false));
      assertThat(got.visionTokens()).isZero();
      assertThat(got.textTokens()).isEqualTo(2 * TinyMixture.LENGTH + 5);
      assertThat(got.groupShares(TokenGroup.VISION)).isEmpty();
      for (Layer layer : got.layers()) {
        assertThat(layer.load(TokenGroup.VISION)).isEmpty();
        assertThat(layer.load(TokenGroup.ALL).orElseThrow().count()).isEqualTo(got.textTokens());
      }
    }
  }

  @Test
  void rivalsOverTheSameBatchCountTheSameTokens() {
    Batch batch = TinyMixture.batch(SEED, true);
    List<Long> vision =
        mixtures()
            .filter(FeedForwardConfig.Mixed.class::isInstance)
            .map(
                mixture -> {
                  try (var model = new TinyMixture("cpu", mixture, SEED)) {
                    return model.statistics(batch).visionTokens();
                  }
                })
            .toList();
    assertThat(vision).containsOnly(15L + 31L);
  }

  @Test
  void paddingChangesNoFigure() {
    Batch batch = TinyMixture.batch(SEED, true);
    int[] ids = batch.ids().clone();
    Arrays.fill(ids, 2 * TinyMixture.LENGTH + 5, ids.length, 1);
    Batch other =
        new Batch(
            batch.rows(),
            batch.length(),
            ids,
            batch.labels(),
            batch.mask(),
            batch.pixels(),
            batch.imageSize(),
            batch.images(),
            batch.samples(),
            0);
    try (var model = new TinyMixture("cpu", mixed(MOIIE), SEED)) {
      assertThat(model.statistics(other)).isEqualTo(model.statistics(batch));
    }
  }

  @Test
  void aDenseModelIsRefused() {
    assertThatThrownBy(() -> ExpertLayers.of(TinyMixture.config(new FeedForwardConfig.Dense(24))))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("model_type=llama: a mixture of experts is wanted");
  }

  @Test
  void weightsThatAreNoNumbersAreNamed() {
    try (var model = new TinyMixture("cpu", mixed(MOIIE), SEED)) {
      model.fill("model.layers.1.mlp.gate.weight", Float.NaN);
      assertThatThrownBy(() -> model.statistics(TinyMixture.batch(SEED, true)))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("layer 1: token 0 of a batch weighs expert");
    }
  }
}
