package io.moextend.stage.convert;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.config.ConfigException;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The experts that take the place of one network, as tensors and as fields of config.json.
 *
 * <p>N experts in all, k chosen for a token; a balance coefficient is the weight of its loss.
 */
public sealed interface Mixture {
  /** More copies of one network than anyone has trained; a slip of the hand is stopped here. */
  int MOST_EXPERTS = 1024;

  Architecture architecture();

  /** Names of the experts under a layer's {@code mlp}. */
  List<String> experts();

  /** Routers under a layer's {@code mlp}, and how many experts each chooses from. */
  SortedMap<String, Integer> routers();

  /** Sets the fields that the published class reads. */
  void describe(ObjectNode config);

  /**
   * Experts 0 to N/4 see image patches alone, the last N/4 text alone, those between both: a router
   * for each, over 3N/4.
   */
  record Moiie(int count, int topK, Balance vision, Balance text) implements Mixture {
    public Moiie {
      requireCount("--num-experts", count);
      if (count % 4 != 0) {
        throw new ConfigException(
            "--num-experts",
            count,
            "a quarter of the experts is for images and a quarter for text; give a multiple of 4");
      }
      requireTopK(topK, count / 4 * 3, "a router of %d experts sees three quarters", count);
    }

    @Override
    public Architecture architecture() {
      return Architecture.MOIIE;
    }

    @Override
    public List<String> experts() {
      return numbered("experts", count);
    }

    @Override
    public SortedMap<String, Integer> routers() {
      return routersOver(count / 4 * 3, count / 4 * 3);
    }

    @Override
    public void describe(ObjectNode config) {
      config.put("num_experts", count).put("num_experts_per_tok", topK);
      describeBoth(config, vision, text);
      config.put("router_jitter_noise", 0.0);
    }
  }

  /** One router over all experts, for every token. */
  record Vanilla(int count, int topK, Balance balance) implements Mixture {
    public Vanilla {
      requireCount("--num-experts", count);
      requireTopK(topK, count, "the router sees all of %d experts", count);
    }

    @Override
    public Architecture architecture() {
      return Architecture.VANILLA_MOE;
    }

    @Override
    public List<String> experts() {
      return numbered("experts", count);
    }

    @Override
    public SortedMap<String, Integer> routers() {
      return new TreeMap<>(Map.of("gate", count));
    }

    @Override
    public void describe(ObjectNode config) {
      config
          .put("num_experts", count)
          .put("num_experts_per_tok", topK)
          .put("router_aux_loss_coef", balance.coefficient())
          .put("output_router_logits", balance.logits())
          .put("router_jitter_noise", 0.0);
    }
  }

  /** Image patches take the one, all other tokens the other. */
  record Modality() implements Mixture {
    static final String VISION = "vision_expert";
    static final String TEXT = "language_expert";

    @Override
    public Architecture architecture() {
      return Architecture.MODALITY_MOE;
    }

    @Override
    public List<String> experts() {
      return List.of(VISION, TEXT);
    }

    @Override
    public SortedMap<String, Integer> routers() {
      return new TreeMap<>();
    }

    @Override
    public void describe(ObjectNode config) {
      // the published class reads none
    }
  }

  /** Experts and a router of its own for each of the two kinds of token. */
  record Routed(int visionCount, int textCount, int topK, Balance vision, Balance text)
      implements Mixture {
    static final String VISION = "vis_experts";
    static final String TEXT = "lan_experts";

    public Routed {
      requireCount("--vision-experts", visionCount);
      requireCount("--text-experts", textCount);
      int seen = Math.min(visionCount, textCount);
      requireTopK(topK, seen, "the smaller of the two lists has %d experts", seen);
    }

    @Override
    public Architecture architecture() {
      return Architecture.ROUTED_MODALITY_MOE;
    }

    @Override
    public List<String> experts() {
      return Stream.of(numbered(VISION, visionCount), numbered(TEXT, textCount))
          .flatMap(List::stream)
          .toList();
    }

    @Override
    public SortedMap<String, Integer> routers() {
      return routersOver(visionCount, textCount);
    }

    @Override
    public void describe(ObjectNode config) {
      config
          .put("num_vis_experts", visionCount)
          .put("num_lan_experts", textCount)
          .put("num_experts_per_tok", topK);
      describeBoth(config, vision, text);
    }
  }

  /**
   * Weight of a load-balancing loss.
   *
   * @param coefficient finite, at least 0
   * @param logits whether the model hands out what the loss is made of
   */
  record Balance(double coefficient, boolean logits) {
    public Balance {
      require("balance coefficient", coefficient);
    }

    /**
     * @param option that gave the coefficient, for the message
     */
    public static Balance of(String option, double coefficient, boolean logits) {
      require(option, coefficient);
      return new Balance(coefficient, logits);
    }

    private static void require(String where, double coefficient) {
      if (!(coefficient >= 0) || Double.isInfinite(coefficient)) {
        throw new ConfigException(where, coefficient, "give a number of at least 0, such as 0.001");
      }
    }
  }

  private static List<String> numbered(String list, int count) {
    return IntStream.range(0, count).mapToObj(i -> list + "." + i).toList();
  }

  private static SortedMap<String, Integer> routersOver(int vision, int text) {
    return new TreeMap<>(Map.of("gate_vis", vision, "gate", text));
  }

  private static void describeBoth(ObjectNode config, Balance vision, Balance text) {
    config
        .put("vis_router_aux_loss_coef", vision.coefficient())
        .put("lan_router_aux_loss_coef", text.coefficient())
        .put("output_vis_router_logits", vision.logits())
        .put("output_lan_router_logits", text.logits());
  }

  private static void requireCount(String option, int count) {
    if (count < 1 || count > MOST_EXPERTS) {
      throw new ConfigException(option, count, "give 1 to " + MOST_EXPERTS);
    }
  }

  private static void requireTopK(int topK, int seen, String why, int count) {
    if (topK < 1 || topK > seen) {
      throw new ConfigException("--top-k", topK, why.formatted(count) + "; give 1 to " + seen);
    }
  }
}
