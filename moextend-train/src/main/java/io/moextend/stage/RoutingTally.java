package io.moextend.stage;

import io.moextend.config.ConfigException;
import io.moextend.moe.TokenGroup;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.GroupLoad;
import io.moextend.stage.RoutingStatistics.Layer;
import io.moextend.stage.RoutingStatistics.Load;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * Routing added up batch by batch: who was chosen, who was chosen first, and with what weights.
 * Weights are added in f64 in the order of tokens, so the same batches give the same bits.
 */
final class RoutingTally {
  private final ExpertLayers layers;
  private final RoutingCensus chosen;
  private final RoutingCensus chosenFirst;
  private final SortedMap<Integer, double[][]> weights = new TreeMap<>(); // [modality][expert]
  private long samples;

  RoutingTally(ExpertLayers layers) {
    this.layers = layers;
    this.chosen = new RoutingCensus(layers.experts());
    this.chosenFirst = new RoutingCensus(layers.experts());
    layers
        .experts()
        .forEach((layer, e) -> weights.put(layer, new double[Modality.values().length][e]));
  }

  void addSamples(int more) {
    samples += more;
  }

  /**
   * One layer's choices over a batch.
   *
   * @param experts [tokens, k] row by row, a token's first choice first
   * @param weight [tokens, k]
   * @param counted the tokens that count; padding is not among them
   * @param vision the tokens that are vision; the others are text
   */
  void add(int layer, int[] experts, float[] weight, BitSet counted, BitSet vision) {
    int k = layers.topK();
    chosen.addTokens(layer, experts, k, counted, vision);
    int[] first = IntStream.range(0, experts.length / k).map(t -> experts[t * k]).toArray();
    chosenFirst.addTokens(layer, first, 1, counted, vision);
    double[][] sums = weights.getOrDefault(layer, new double[0][]);
    for (int t = counted.nextSetBit(0); t >= 0; t = counted.nextSetBit(t + 1)) {
      double[] sum = sums[(vision.get(t) ? Modality.IMAGE : Modality.TEXT).ordinal()];
      for (int j = t * k; j < t * k + k; j++) {
        if (!Float.isFinite(weight[j])) {
          throw new ConfigException(
              "layer %d: token %d of a batch weighs expert %d with %s; the model's weights or its dtype give no numbers"
                  .formatted(layer, t, experts[j], weight[j]));
        }
        sum[experts[j]] += weight[j];
      }
    }
  }

  RoutingStatistics statistics(VisionTokens vision) {
    int any = layers.groups().firstKey(); // all layers see the same tokens
    return new RoutingStatistics(
        layers.scheme(),
        layers.topK(),
        vision,
        samples,
        tokens(any, TokenGroup.VISION),
        tokens(any, TokenGroup.TEXT),
        layers.groups().keySet().stream().map(this::layer).toList());
  }

  private Layer layer(int layer) {
    List<ExpertGroup> groups = layers.groups().getOrDefault(layer, List.of());
    var loads = new ArrayList<Load>();
    for (TokenGroup tokens : TokenGroup.values()) {
      if (tokens(layer, tokens) > 0) {
        loads.add(load(layer, groups, tokens));
      }
    }
    return new Layer(layer, groups, loads);
  }

  private Load load(int layer, List<ExpertGroup> groups, TokenGroup tokens) {
    long count = tokens(layer, tokens);
    List<ExpertGroup> open = groups.stream().filter(g -> g.isOpenTo(tokens)).toList();
    var experts = new ArrayList<ExpertLoad>();
    for (ExpertGroup group : open) {
      for (int e = group.first(); e < group.end(); e++) {
        experts.add(expert(layer, tokens, e, count));
      }
    }
    double bits = entropyBits(experts, count * layers.topK());
    return new Load(
        tokens,
        count,
        bits,
        experts.size() == 1 ? 1 : bits / log2(experts.size()),
        busiest(experts),
        open.stream().map(g -> group(g, experts, count)).toList(),
        experts);
  }

  private ExpertLoad expert(int layer, TokenGroup tokens, int expert, long count) {
    long slots = count(chosen, layer, tokens, expert);
    double weight = 0;
    for (Modality modality : Modality.values()) {
      if (isAmong(modality, tokens)) {
        weight += weights.getOrDefault(layer, new double[0][])[modality.ordinal()][expert];
      }
    }
    return new ExpertLoad(
        expert,
        slots,
        percent(slots, count * layers.topK()),
        slots == 0 ? 0 : weight / slots,
        percent(count(chosenFirst, layer, tokens, expert), count));
  }

  private GroupLoad group(ExpertGroup group, List<ExpertLoad> experts, long count) {
    long slots =
        experts.stream().filter(e -> group.has(e.expert())).mapToLong(ExpertLoad::slots).sum();
    return new GroupLoad(group.name(), slots, percent(slots, count * layers.topK()));
  }

  private static List<Integer> busiest(List<ExpertLoad> experts) {
    return experts.stream()
        .filter(e -> e.slots() > 0)
        .sorted(
            Comparator.comparingLong(ExpertLoad::slots)
                .reversed()
                .thenComparingInt(ExpertLoad::expert))
        .limit(2)
        .map(ExpertLoad::expert)
        .toList();
  }

  private static double entropyBits(List<ExpertLoad> experts, long slots) {
    double bits = 0;
    for (ExpertLoad expert : experts) {
      if (expert.slots() > 0) {
        double share = (double) expert.slots() / slots;
        bits -= share * log2(share);
      }
    }
    return Math.max(0, bits);
  }

  private static double log2(double value) {
    return Math.log(value) / Math.log(2);
  }

  private static double percent(long part, long whole) {
    return 100.0 * part / whole;
  }

  /** Every token has one first choice. */
  private long tokens(int layer, TokenGroup tokens) {
    return IntStream.range(0, chosenFirst.experts(layer))
        .mapToLong(e -> count(chosenFirst, layer, tokens, e))
        .sum();
  }

  private static long count(RoutingCensus census, int layer, TokenGroup tokens, int expert) {
    long count = 0;
    for (Modality modality : Modality.values()) {
      if (isAmong(modality, tokens)) {
        count += census.count(layer, modality, expert);
      }
    }
    return count;
  }

  private static boolean isAmong(Modality modality, TokenGroup tokens) {
    return switch (tokens) {
      case ALL -> true;
      case VISION -> modality == Modality.IMAGE;
      case TEXT -> modality == Modality.TEXT;
    };
  }
}
