package io.moextend.config;

/**
 * How a {@link FeedForwardConfig.Mixed} layer's experts are shared out among vision and text
 * tokens.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, section 3
 */
public sealed interface Scheme {
  /** Experts of one layer. */
  int experts();

  /** Experts a token visits. */
  int topK();

  /** Half the width of the uniform noise that scales a layer's input in training; 0 = none. */
  default double jitter() {
    return 0;
  }

  /** True where vision and text tokens go different ways. */
  default boolean tellsModalities() {
    return true;
  }

  /**
   * MoIIE: the first quarter is for vision alone, the last for text alone, the half between them
   * for both. Each modality has a gate over its three quarters.
   *
   * @param experts a multiple of 4
   * @param visionBalance weight of the vision tokens' load-balancing loss
   * @param textBalance weight of the text tokens'
   */
  record Moiie(int experts, int topK, double visionBalance, double textBalance, double jitter)
      implements Scheme {
    public Moiie {
      if (experts < 4 || experts % 4 != 0) {
        throw new ConfigException(
            "num_experts",
            experts,
            "must be a multiple of 4: a quarter for vision, a half for both, a quarter for text");
      }
      requireTopK(topK, "3/4 of num_experts", experts / 4 * 3);
      requireCoefficient("vis_router_aux_loss_coef", visionBalance);
      requireCoefficient("lan_router_aux_loss_coef", textBalance);
      requireJitter(jitter);
    }

    /** Experts that a modality's gate chooses among. */
    public int reachable() {
      return experts / 4 * 3;
    }

    /** The first expert of the text gate. */
    public int textOffset() {
      return experts / 4;
    }
  }

  /** One gate over all experts for every token. */
  record Vanilla(int experts, int topK, double balance, double jitter) implements Scheme {
    public Vanilla {
      ConfigException.requirePositive("num_experts", experts);
      requireTopK(topK, "num_experts", experts);
      requireCoefficient("router_aux_loss_coef", balance);
      requireJitter(jitter);
    }

    @Override
    public boolean tellsModalities() {
      return false;
    }
  }

  /** One network for vision tokens and one for text tokens; nothing is learnt of the choice. */
  record Modality() implements Scheme {
    @Override
    public int experts() {
      return 2;
    }

    @Override
    public int topK() {
      return 1;
    }
  }

  /**
   * Each modality has experts of its own and a gate over them.
   *
   * @param vision experts of vision tokens
   * @param text experts of text tokens
   * @param visionBalance weight of the vision tokens' load-balancing loss
   * @param textBalance weight of the text tokens'
   */
  record RoutedModality(int vision, int text, int topK, double visionBalance, double textBalance)
      implements Scheme {
    public RoutedModality {
      ConfigException.requirePositive("num_vis_experts", vision);
      ConfigException.requirePositive("num_lan_experts", text);
      requireTopK(topK, "num_vis_experts and num_lan_experts", Math.min(vision, text));
      requireCoefficient("vis_router_aux_loss_coef", visionBalance);
      requireCoefficient("lan_router_aux_loss_coef", textBalance);
    }

    @Override
    public int experts() {
      return Math.addExact(vision, text);
    }
  }

  private static void requireTopK(int topK, String among, int most) {
    if (topK < 1 || topK > most) {
      throw new ConfigException(
          "num_experts_per_tok", topK, "must be between 1 and %s=%d".formatted(among, most));
    }
  }

  private static void requireCoefficient(String field, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new ConfigException(field, value, "must be at least 0");
    }
  }

  private static void requireJitter(double value) {
    if (!(value >= 0 && value < 1)) {
      throw new ConfigException("router_jitter_noise", value, "must be at least 0 and below 1");
    }
  }
}
