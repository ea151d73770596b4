package io.moextend.stage;

import io.moextend.config.ConfigException;
import io.moextend.moe.TokenGroup;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Where a model's tokens went: per layer, modality, expert and group of experts. A slot is one of
 * the k places a token has; experts are numbered through the whole layer.
 *
 * @param scheme how tokens come to experts, see {@link ExpertLayers}
 * @param topK slots of a token
 * @param vision which tokens are vision
 * @param samples counted
 * @param visionTokens counted; each layer saw them all, padding not among them
 * @param textTokens likewise
 * @param layers those that have experts, ascending
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>; the published model_vqa.py and its
 *     count_top_experts
 */
public record RoutingStatistics(
    String scheme,
    int topK,
    VisionTokens vision,
    long samples,
    long visionTokens,
    long textTokens,
    List<Layer> layers) {
  /**
   * @param groups of experts, in the order of these
   * @param loads of all tokens, of vision, of text; one that has no tokens is left out
   */
  public record Layer(int layer, List<ExpertGroup> groups, List<Load> loads) {
    public Layer {
      groups = List.copyOf(groups);
      loads = List.copyOf(loads);
    }

    /** Empty where there were no such tokens. */
    public Optional<Load> load(TokenGroup tokens) {
      return loads.stream().filter(l -> l.tokens() == tokens).findFirst();
    }

    public int experts() {
      return groups.getLast().end();
    }
  }

  /**
   * What some tokens did in one layer.
   *
   * @param count tokens, above 0
   * @param entropyBits of the slots' shares, 0 where all go to one expert
   * @param evenness entropy over the largest it could be, 0 to 1; 1 where there is no choice
   * @param busiest the two experts with the most slots, the lower one first among equals; fewer
   *     where fewer have any
   * @param groups those that these tokens can choose
   * @param experts likewise, ascending
   */
  public record Load(
      TokenGroup tokens,
      long count,
      double entropyBits,
      double evenness,
      List<Integer> busiest,
      List<GroupLoad> groups,
      List<ExpertLoad> experts) {
    public Load {
      busiest = List.copyOf(busiest);
      groups = List.copyOf(groups);
      experts = List.copyOf(experts);
    }

    /** Empty where these tokens cannot choose it. */
    public Optional<ExpertLoad> expert(int expert) {
      return experts.stream().filter(e -> e.expert() == expert).findFirst();
    }
  }

  /**
   * @param sharePercent of these tokens' slots
   */
  public record GroupLoad(String group, long slots, double sharePercent) {}

  /**
   * @param sharePercent of these tokens' slots
   * @param meanWeight of the expert's result where it was chosen; 0 where it never was
   * @param firstChoicePercent of these tokens that chose it before all others
   */
  public record ExpertLoad(
      int expert, long slots, double sharePercent, double meanWeight, double firstChoicePercent) {}

  /** Checks that the slots add up. */
  public RoutingStatistics {
    layers = List.copyOf(layers);
    for (Layer layer : layers) {
      for (Load load : layer.loads()) {
        String where = "layer %d, %s tokens".formatted(layer.layer(), load.tokens());
        requireSum(
            where,
            "experts",
            load.experts().stream().mapToLong(ExpertLoad::slots).sum(),
            load.count(),
            topK);
        requireSum(
            where,
            "groups",
            load.groups().stream().mapToLong(GroupLoad::slots).sum(),
            load.count(),
            topK);
        requireTokens(where, load.count(), tokens(load.tokens(), visionTokens, textTokens));
      }
    }
  }

  private static void requireSum(String where, String what, long slots, long tokens, int topK) {
    if (slots != Math.multiplyExact(tokens, topK)) {
      throw new ConfigException(
          where + ", slots of all " + what,
          slots,
          "%d tokens have %d each".formatted(tokens, topK));
    }
  }

  private static void requireTokens(String where, long count, long wanted) {
    if (count != wanted || count < 1) {
      throw new ConfigException(where + ", count", count, "there are %d".formatted(wanted));
    }
  }

  private static long tokens(TokenGroup tokens, long vision, long text) {
    return switch (tokens) {
      case ALL -> vision + text;
      case VISION -> vision;
      case TEXT -> text;
    };
  }

  /** How many tokens of a kind were counted. */
  public long tokens(TokenGroup tokens) {
    return tokens(tokens, visionTokens, textTokens);
  }

  /** Experts of the layer that has the most. */
  public int experts() {
    return layers.stream().mapToInt(Layer::experts).max().orElse(0);
  }

  /**
   * Share of these tokens' slots that each group has over all layers, in percent, in the order of
   * the groups; empty where there were no such tokens.
   */
  public Map<String, Double> groupShares(TokenGroup tokens) {
    var slots = new LinkedHashMap<String, Long>();
    for (Layer layer : layers) {
      layer
          .load(tokens)
          .ifPresent(
              load -> load.groups().forEach(g -> slots.merge(g.group(), g.slots(), Long::sum)));
    }
    long all = slots.values().stream().mapToLong(Long::longValue).sum();
    var shares = new LinkedHashMap<String, Double>();
    slots.forEach((group, count) -> shares.put(group, 100.0 * count / all));
    return shares;
  }

  /** Mean over layers of {@link Load#evenness}; 0 where there were no such tokens. */
  public double evenness(TokenGroup tokens) {
    return layers.stream()
        .flatMap(layer -> layer.load(tokens).stream())
        .mapToDouble(Load::evenness)
        .average()
        .orElse(0);
  }
}
