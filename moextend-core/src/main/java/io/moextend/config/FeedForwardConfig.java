package io.moextend.config;

import java.util.Collections;
import java.util.SortedSet;
import java.util.TreeSet;

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
      extendedLayers = Collections.unmodifiableSortedSet(new TreeSet<>(extendedLayers));
    }

    /** Experts of one layer, the added one counted. */
    public int countIn(int layer) {
      return count + (extendedLayers.contains(layer) ? 1 : 0);
    }
  }

  /**
   * Experts in some layers, one network in the others.
   *
   * @param width inside an expert, and inside the one network
   * @param layers that have experts
   * @param scheme how tokens come to experts
   */
  record Mixed(int width, SortedSet<Integer> layers, Scheme scheme) implements FeedForwardConfig {
    public Mixed {
      ConfigException.requirePositive("intermediate_size", width);
      layers = Collections.unmodifiableSortedSet(new TreeSet<>(layers));
      if (layers.isEmpty() || layers.first() < 0) {
        throw new ConfigException(
            "moe_layers", layers, "must name at least one layer, counted from 0");
      }
    }

    /** The layers that published models have experts in: every second one, from the second on. */
    public static SortedSet<Integer> oddLayers(int layers) {
      var odd = new TreeSet<Integer>();
      for (int i = 1; i < layers; i += 2) {
        odd.add(i);
      }
      return odd;
    }
  }
}
