package io.moextend.config;

import io.moextend.backend.Activation;

/**
 * A vision transformer.
 *
 * @param imageSize pixels a side
 * @param patchSize pixels a side; what is left over at the right and below is not seen
 */
public record TowerConfig(
    TowerFamily family,
    int hidden,
    int intermediate,
    int layers,
    int heads,
    int channels,
    int imageSize,
    int patchSize,
    Activation activation,
    double normEps,
    double initializerRange)
    implements ModelConfig {
  /** openai/clip-vit-large-patch14-336, which published MoExtend configs take for granted. */
  public static final TowerConfig CLIP_LARGE_336 =
      new TowerConfig(
          new TowerFamily.Clip(),
          1024,
          4096,
          24,
          16,
          3,
          336,
          14,
          Activation.QUICK_GELU,
          1e-5,
          0.02);

  /** google/siglip-so400m-patch14-384, which published MoIIE configs name. */
  public static final TowerConfig SIGLIP_SO400M_384 =
      new TowerConfig(
          new TowerFamily.Siglip(true),
          1152,
          4304,
          27,
          16,
          3,
          384,
          14,
          Activation.GELU_TANH,
          1e-6,
          0.02);

  public TowerConfig {
    ConfigException.requirePositive("vision_config.hidden_size", hidden);
    ConfigException.requirePositive("vision_config.intermediate_size", intermediate);
    ConfigException.requirePositive("vision_config.num_hidden_layers", layers);
    ConfigException.requirePositive("vision_config.num_attention_heads", heads);
    ConfigException.requirePositive("vision_config.num_channels", channels);
    if (hidden % heads != 0) {
      throw new ConfigException(
          "vision_config.num_attention_heads", heads, "must divide hidden_size=" + hidden);
    }
    if (patchSize < 1 || patchSize > imageSize) {
      throw new ConfigException(
          "vision_config.patch_size", patchSize, "must be between 1 and image_size=" + imageSize);
    }
    if (family instanceof TowerFamily.Dinov2 dino && intermediate != dino.intermediate(hidden)) {
      throw new ConfigException(
          "vision_config.mlp_ratio",
          dino.widening(),
          "makes %d of hidden_size=%d, not %d"
              .formatted(dino.intermediate(hidden), hidden, intermediate));
    }
  }

  @Override
  public String modelType() {
    return family.modelType();
  }

  /** Patches side by side. */
  public int grid() {
    return imageSize / patchSize;
  }

  /** Patches of one image, the class token not counted. */
  public int patches() {
    return grid() * grid();
  }

  /** Rows of one image in a hidden state: its patches, and the class token where there is one. */
  public int rows() {
    return family instanceof TowerFamily.Siglip ? patches() : patches() + 1;
  }
}
