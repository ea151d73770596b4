package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.config.ConfigException;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import io.moextend.data.Batch;
import io.moextend.model.Routing;
import io.moextend.moe.Router.Window;
import io.moextend.moe.TokenGroup;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.GroupLoad;
import io.moextend.stage.RoutingStatistics.Layer;
import io.moextend.stage.RoutingStatistics.Load;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;
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

  /** Sums over the tokens of one kind. */
  private static final class Recount {
    private long tokens;
    private final long[] slots = new long[16];
    private final long[] first = new long[16];
    private final double[] weight = new double[16];

    void token(List<Integer> experts, double[] weights) {
      tokens++;
      first[experts.getFirst()]++;
      for (int j = 0; j < experts.size(); j++) {
        slots[experts.get(j)]++;
        weight[experts.get(j)] += weights[j];
      }
    }
  }

  private static boolean isPatch(Batch batch, int row, int column) {
    return column >= 0
        && column < batch.length()
        && batch.images().stream()
            .anyMatch(
                i ->
                    i.row() == row
                        && column >= i.firstSlot()
                        && column < i.firstSlot() + i.slots());
  }

  private static boolean isVision(Batch batch, int token, boolean asRouted) {
    int row = token / batch.length();
    int column = token % batch.length();
    return isPatch(batch, row, column) && (!asRouted || isPatch(batch, row, column + 1));
  }

  /** From the router's logits by hand: softmax in the window, sort, divide by the sum. */
  private static void recount(
      TinyMixture model, Batch batch, boolean asRouted, TreeMap<Integer, Recount[]> layers) {
    model.pass(
        batch,
        (arena, output) -> {
          for (Routing routing : output.routings()) {
            float[] logits = model.backend.toFloats(arena, routing.logits().data());
            int columns = logits.length / batch.ids().length;
            Recount[] counts = layers.computeIfAbsent(routing.layer(), l -> fresh());
            for (int t = 0; t < batch.ids().length; t++) {
              if (batch.mask()[t] != 0) {
                boolean vision = isVision(batch, t, asRouted);
                float[] row = Arrays.copyOfRange(logits, t * columns, (t + 1) * columns);
                count(row, window(routing, vision), vision, model, counts);
              }
            }
          }
          return null;
        });
  }

  private static Recount[] fresh() {
    return new Recount[] {new Recount(), new Recount(), new Recount()};
  }

  private static Window window(Routing routing, boolean vision) {
    return routing.windows().stream()
        .filter(
            w ->
                w.group() == TokenGroup.ALL
                    || w.group() == (vision ? TokenGroup.VISION : TokenGroup.TEXT))
        .findFirst()
        .orElseThrow();
  }

  private static void count(
      float[] logits, Window window, boolean vision, TinyMixture model, Recount[] counts) {
    int k = ExpertLayers.of(model.decoder.config()).topK();
    List<Integer> chosen =
        IntStream.range(window.column(), window.column() + window.columns())
            .boxed()
            .sorted(Comparator.comparingDouble(c -> -logits[c]))
            .limit(k)
            .toList();
    double[] weights =
        chosen.stream().mapToDouble(c -> Math.exp(logits[c] - logits[chosen.getFirst()])).toArray();
    double sum = Arrays.stream(weights).sum();
    double[] shares = Arrays.stream(weights).map(w -> w / sum).toArray();
    List<Integer> experts =
        chosen.stream().map(c -> c - window.column() + window.expert()).toList();
    counts[TokenGroup.ALL.ordinal()].token(experts, shares);
    counts[(vision ? TokenGroup.VISION : TokenGroup.TEXT).ordinal()].token(experts, shares);
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
        layers.put(1, byModality(one, two));
      } else {
        recount(model, one, asRouted, layers);
        recount(model, two, asRouted, layers);
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

  /** Nothing to choose: vision tokens to the first network, text to the second. */
  private static Recount[] byModality(Batch... batches) {
    Recount[] counts = fresh();
    for (Batch batch : batches) {
      for (int t = 0; t < batch.ids().length; t++) {
        if (batch.mask()[t] != 0) {
          boolean vision = isVision(batch, t, true);
          List<Integer> expert = List.of(vision ? 0 : 1);
          counts[TokenGroup.ALL.ordinal()].token(expert, new double[] {1});
          counts[(vision ? TokenGroup.VISION : TokenGroup.TEXT).ordinal()].token(
              expert, new double[] {1});
        }
      }
    }
    return counts;
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

  /**
   * Nothing but a token's own embedding reaches the gates: each id has an axis of its own, and the
   * gates' columns are what is wanted of it.
   */
  private static void handMade(TinyMixture model) {
    int hidden = model.hidden();
    for (String name : List.of("self_attn.o_proj.weight", "mlp.down_proj.weight")) {
      model.fill("model.layers.0." + name, 0);
    }
    model.fill("model.layers.1.self_attn.o_proj.weight", 0);
    model.fill("model.layers.1.post_attention_layernorm.weight", 1);
    float[] embeddings = new float[(int) model.parameter("model.embed_tokens.weight").size()];
    for (int id = 0; id < embeddings.length / hidden; id++) {
      embeddings[id * hidden + id % 4] = 1;
    }
    model.set("model.embed_tokens.weight", embeddings);
    // an image is axis 7, whatever it shows
    model.fill("model.visual.mm_projector.2.weight", 0);
    float[] bias = new float[hidden];
    bias[7] = 1;
    model.set("model.visual.mm_projector.2.bias", bias);
    model.set("model.layers.1.mlp.gate.weight", gate(hidden, new int[] {0, 1, 2, 3}));
    model.set("model.layers.1.mlp.gate_vis.weight", gate(hidden, new int[] {7, 7, 7, 7}));
  }

  /**
   * [3, hidden]: of the axes named, each with the logits 0, ln 3 and -20 turned by one expert from
   * one axis to the next; the normed state is the root of its width there.
   */
  private static float[] gate(int hidden, int[] axes) {
    double[] logits = {0, Math.log(3), -20};
    float[] gate = new float[3 * hidden];
    for (int a = 0; a < axes.length; a++) {
      for (int e = 0; e < 3; e++) {
        gate[e * hidden + axes[a]] =
            (float) (logits[(e + (axes[a] == 7 ? 0 : a)) % 3] / Math.sqrt(hidden));
      }
    }
    return gate;
  }

  @Test
  void gatesMadeByHandGiveTheSharesWorkedOutByHand() {
    try (var model = new TinyMixture("cpu", mixed(MOIIE), SEED)) {
      handMade(model);
      int[] ids = new int[TinyMixture.LENGTH];
      Arrays.fill(ids, 4, 8, 1); // axis 1: local logits ln 3, -20, 0
      byte[] mask = new byte[ids.length];
      Arrays.fill(mask, 0, 24, (byte) 1);
      var image = new Batch.Image(0, 8, TinyMixture.PATCHES, java.nio.file.Path.of("x.png"), "");
      Batch batch = TinyMixture.batch(ids, mask, List.of(image), new Random(SEED));

      RoutingStatistics got = model.statistics(batch);

      // 15 patches look right at a patch; the last is text, and axis 7 of the text gate is empty:
      // it takes the first two of three equals
      assertThat(got.visionTokens()).isEqualTo(15);
      assertThat(got.textTokens()).isEqualTo(9);
      Load vision = got.layers().getFirst().load(TokenGroup.VISION).orElseThrow();
      assertThat(vision.experts().stream().map(ExpertLoad::expert)).containsExactly(0, 1, 2);
      expect(vision, 0, 15, 0.25, 0);
      expect(vision, 1, 15, 0.75, 100);
      expect(vision, 2, 0, 0, 0);
      assertThat(vision.busiest()).containsExactly(0, 1);
      assertThat(vision.entropyBits()).isCloseTo(1, within(1e-12));
      assertThat(vision.evenness()).isCloseTo(1 / (Math.log(3) / Math.log(2)), within(1e-12));
      assertThat(got.groupShares(TokenGroup.VISION))
          .containsExactly(
              java.util.Map.entry("vision-intra", 50.0), java.util.Map.entry("inter", 50.0));

      // four of axis 0: experts 2 (3/4) and 1 (1/4); four of axis 1: 1 (3/4) and 3 (1/4); the
      // patch:
      // 1 and 2, a half each
      Load text = got.layers().getFirst().load(TokenGroup.TEXT).orElseThrow();
      assertThat(text.experts().stream().map(ExpertLoad::expert)).containsExactly(1, 2, 3);
      expect(text, 1, 9, (4 * 0.25 + 4 * 0.75 + 0.5) / 9, 100.0 * 5 / 9);
      expect(text, 2, 5, (4 * 0.75 + 0.5) / 5, 100.0 * 4 / 9);
      expect(text, 3, 4, 0.25, 0);
      assertThat(text.busiest()).containsExactly(1, 2);
      assertThat(got.groupShares(TokenGroup.TEXT).get("text-intra"))
          .isCloseTo(100.0 * 4 / 18, within(1e-12));
    }
  }

  private static void expect(Load load, int expert, long slots, double weight, double first) {
    ExpertLoad got = load.expert(expert).orElseThrow();
    assertThat(got.slots()).as("slots of %d", expert).isEqualTo(slots);
    assertThat(got.meanWeight()).as("weight of %d", expert).isCloseTo(weight, within(1e-4));
    assertThat(got.firstChoicePercent()).as("first %d", expert).isCloseTo(first, within(1e-9));
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
