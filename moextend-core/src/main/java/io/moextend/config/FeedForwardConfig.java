package io.moextend.config;

import java.util.SortedSet;

/** What stands between two attentions. */
public sealed interface FeedForwardConfig {
  /** Width inside an expert or the one network. */
  int width();

  /** One network for every token, the same in every layer. */
  record Dense(int width) implements FeedForwardConfig {
    public Dense {
      ConfigException.requirePositive("intermediate_size", width);
    }
  }

  /**
   * @param count pretrained experts of a layer, without added ones
   * @param topK experts a token visits
   * @param extendedLayers layers with one added expert, its gate row and a calibration (MoExtend);
   *     empty before the extension
   * @param balanceCoefficient weight of the load-balancing loss
   */
  record Experts(
      int width, int count, int topK, SortedSet<Integer> extendedLayers, double balanceCoefficient)
      implements FeedForwardConfig {
    public Experts {
      ConfigException.requirePositive("intermediate_size", width);
      if (topK < 1 || topK > count) {
        throw new ConfigException(
            "num_experts_per_tok", topK, "must be between 1 and num_local_experts=" + count);
      }
      extendedLayers =
          java.util.Collections.unmodifiableSortedSet(new java.util.TreeSet<>(extendedLayers));
    }

    /** Experts of one layer, the added one counted. */
    public int countIn(int layer) {
      return count + (extendedLayers.contains(layer) ? 1 : 0);
    }
  }
}
