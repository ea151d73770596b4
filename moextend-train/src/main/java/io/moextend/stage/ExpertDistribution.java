package io.moextend.stage;

import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * How far the extension stage moved each layer's routing, and what follows from it: the half of the
 * layers that moved most is extended, and each new expert starts as a copy of its layer's most used
 * one.
 *
 * <p>A layer's score is the standard deviation (n - 1) over its experts of (share after - share
 * before). Scores equal to twelve decimals are equal, and the lower layer goes first. Source: the
 * MoExtend paper's section on which layers to extend; expert_distribution.py, whose sort leaves
 * ties to chance.
 */
public final class ExpertDistribution {
  private static final double EQUAL_SCORES_PER_UNIT = 1e12;

  private final CountingMode mode;
  private final double[][] before; // [layers][experts]
  private final double[][] after; // [layers][experts]
  private final List<LayerScore> ranking;
  private final int extended;

  /**
   * @param score how far this layer's routing moved
   * @param donor its most used expert afterwards, the first among equals
   * @param donorShare that expert's share of the layer's choices, 0 to 1
   */
  public record LayerScore(int layer, double score, int donor, double donorShare) {}

  private ExpertDistribution(
      CountingMode mode, double[][] before, double[][] after, int layersToExtend) {
    this.mode = mode;
    this.before = before;
    this.after = after;
    this.extended = layersToExtend;
    this.ranking = rank(before, after);
  }

  /**
   * What a model must be to be compared: a mixture whose layers all have the same experts.
   *
   * @throws ConfigException where it is none
   */
  public static FeedForwardConfig.Experts comparable(DecoderConfig config) {
    return switch (config.feedForward()) {
      case FeedForwardConfig.Dense _ -> throw ExpertLayers.dense(config);
      case FeedForwardConfig.Mixed m ->
          throw new ConfigException(
              "model_type",
              config.modelType(),
              "a mixture with experts in every layer is wanted; this one has some in layers "
                  + m.layers());
      case FeedForwardConfig.Experts e when !e.extendedLayers().isEmpty() ->
          throw new ConfigException(
              "add_layer",
              e.extendedLayers(),
              "the model has added experts already; count the ones before and after its extension"
                  + " stage");
      case FeedForwardConfig.Experts e -> e;
    };
  }

  /** Extends half of the layers, rounded down as in the published script. */
  public static ExpertDistribution between(
      RoutingCensus before, RoutingCensus after, CountingMode mode) {
    return between(before.fractions(), after.fractions(), mode);
  }

  /**
   * @param before share of each expert before the extension stage, [layers][experts]
   * @param after the same after it
   * @param mode what the caller counted; only recorded
   */
  public static ExpertDistribution between(double[][] before, double[][] after, CountingMode mode) {
    return between(before, after, mode, before.length / 2);
  }

  /**
   * @param layersToExtend how many layers get an expert, 1 to all
   * @throws ConfigException if the two differ in shape, a row is no distribution, or the number of
   *     layers is out of range
   */
  public static ExpertDistribution between(
      double[][] before, double[][] after, CountingMode mode, int layersToExtend) {
    if (before.length != after.length) {
      throw new ConfigException(
          "after.layers", after.length, "before has " + before.length + "; count one architecture");
    }
    for (int l = 0; l < before.length; l++) {
      if (before[l].length != after[l].length || before[l].length < 2) {
        throw new ConfigException(
            "after.layer[" + l + "].experts",
            after[l].length,
            "before has " + before[l].length + "; both need the same number, at least 2");
      }
      requireShares("before.layer[" + l + "]", before[l]);
      requireShares("after.layer[" + l + "]", after[l]);
    }
    if (layersToExtend < 1 || layersToExtend > before.length) {
      throw new ConfigException(
          "layersToExtend",
          layersToExtend,
          "choose 1 to %d; the default is half of the layers, rounded down"
              .formatted(before.length));
    }
    return new ExpertDistribution(mode, copy(before), copy(after), layersToExtend);
  }

  public CountingMode mode() {
    return mode;
  }

  public int layers() {
    return before.length;
  }

  public int experts() {
    return before[0].length;
  }

  public double before(int layer, int expert) {
    return before[layer][expert];
  }

  public double after(int layer, int expert) {
    return after[layer][expert];
  }

  /** Share after minus share before. */
  public double difference(int layer, int expert) {
    return after[layer][expert] - before[layer][expert];
  }

  /** All layers, the one that moved most first. */
  public List<LayerScore> ranking() {
    return ranking;
  }

  /** The layers to extend, in the order of the model. */
  public List<LayerScore> selected() {
    return ranking.subList(0, extended).stream()
        .sorted(Comparator.comparingInt(LayerScore::layer))
        .toList();
  }

  /**
   * The layers that share the score at the cut where it separates equals: some of them are extended
   * and some not, only because the lower layer goes first. Empty where the cut is clear.
   */
  public List<Integer> tiedAtCut() {
    if (extended == ranking.size()
        || rounded(ranking.get(extended - 1)) != rounded(ranking.get(extended))) {
      return List.of();
    }
    double cut = rounded(ranking.get(extended));
    return ranking.stream().filter(l -> rounded(l) == cut).map(LayerScore::layer).sorted().toList();
  }

  /** The plan this distribution leads to. */
  public ExtensionPlan plan(ExtensionPlan.Source source) {
    return new ExtensionPlan(
        ExtensionPlan.FORMAT,
        mode,
        layers(),
        experts(),
        selected().stream().map(l -> new ExtensionPlan.Extended(l.layer(), l.donor())).toList(),
        ranking.stream()
            .map(l -> new ExtensionPlan.Ranked(l.layer(), l.score(), l.donor(), l.donorShare()))
            .toList(),
        tiedAtCut(),
        source);
  }

  private static List<LayerScore> rank(double[][] before, double[][] after) {
    List<LayerScore> scores = new ArrayList<>();
    for (int l = 0; l < before.length; l++) {
      int donor = firstLargest(after[l]);
      scores.add(new LayerScore(l, score(before[l], after[l]), donor, after[l][donor]));
    }
    scores.sort(
        Comparator.comparingDouble(ExpertDistribution::rounded)
            .reversed()
            .thenComparingInt(LayerScore::layer));
    return List.copyOf(scores);
  }

  private static double score(double[] before, double[] after) {
    int experts = before.length;
    double[] difference = new double[experts];
    for (int e = 0; e < experts; e++) {
      difference[e] = after[e] - before[e];
    }
    double mean = Arrays.stream(difference).sum() / experts;
    double squares = Arrays.stream(difference).map(d -> (d - mean) * (d - mean)).sum();
    return Math.sqrt(squares / (experts - 1));
  }

  private static int firstLargest(double[] shares) {
    int best = 0;
    for (int e = 1; e < shares.length; e++) {
      if (shares[e] > shares[best]) {
        best = e;
      }
    }
    return best;
  }

  /** Two layers with the same shares in another order differ in the last bits of their scores. */
  private static double rounded(LayerScore layer) {
    return Math.rint(layer.score() * EQUAL_SCORES_PER_UNIT);
  }

  private static void requireShares(String where, double[] shares) {
    double sum = 0;
    for (double share : shares) {
      if (!(share >= 0 && share <= 1)) {
        throw new ConfigException(where, share, "a share lies in [0, 1]");
      }
      sum += share;
    }
    if (Math.abs(sum - 1) > 1e-6) {
      throw new ConfigException(where, sum, "the shares of a layer add up to 1");
    }
  }

  private static double[][] copy(double[][] rows) {
    return Arrays.stream(rows).map(double[]::clone).toArray(double[][]::new);
  }
}
