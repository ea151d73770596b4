package io.moextend.config;

/** A published kind of vision transformer, with the settings that it alone has. */
public sealed interface TowerFamily {
  /** As config.json says it. */
  String modelType();

  /** True where features are the last hidden state behind the last norm, and no other. */
  default boolean normedFeatures() {
    return false;
  }

  /**
   * A class token in front, a norm before the first layer.
   *
   * @see <a href="https://arxiv.org/abs/2103.00020">Learning Transferable Visual Models</a>
   */
  record Clip() implements TowerFamily {
    @Override
    public String modelType() {
      return "clip_vision_model";
    }
  }

  /**
   * No class token; what stands for the whole image is read by a learned probe.
   *
   * @param head false where the checkpoint was published without the probe
   * @see <a href="https://arxiv.org/abs/2303.15343">Sigmoid Loss for Language Image
   *     Pre-Training</a>
   */
  record Siglip(boolean head) implements TowerFamily {
    @Override
    public String modelType() {
      return "siglip_vision_model";
    }
  }

  /**
   * A class token in front, each branch scaled by learned numbers, features behind the last norm.
   *
   * @param widening of the feed-forward network: mlp_ratio
   * @param gated true for the SwiGLU network of the largest models, two thirds as wide
   * @param queryBias true where queries, keys and values have biases
   * @param startScale what the learned numbers start from: layerscale_value
   * @see <a href="https://arxiv.org/abs/2304.07193">DINOv2</a>
   */
  record Dinov2(int widening, boolean gated, boolean queryBias, double startScale)
      implements TowerFamily {
    /** Widths of the gated network are multiples of it. */
    private static final int GATE_STEP = 8;

    public Dinov2 {
      ConfigException.requirePositive("vision_config.mlp_ratio", widening);
    }

    /** Width inside the feed-forward network of a tower as wide as {@code hidden}. */
    public int intermediate(int hidden) {
      int whole = Math.multiplyExact(hidden, widening);
      return gated ? (whole * 2 / 3 + GATE_STEP - 1) / GATE_STEP * GATE_STEP : whole;
    }

    @Override
    public String modelType() {
      return "dinov2";
    }

    @Override
    public boolean normedFeatures() {
      return true;
    }
  }
}
