package io.moextend.config;

import io.moextend.backend.Activation;

/**
 * A vision transformer.
 *
 * @param modelType "clip_vision_model", later "siglip_vision_model", "dinov2"
 * @param imageSize pixels a side
 * @param patchSize pixels a side
 */
public record TowerConfig(
    String modelType,
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
          "clip_vision_model", 1024, 4096, 24, 16, 3, 336, 14, Activation.QUICK_GELU, 1e-5, 0.02);

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
    if (patchSize < 1 || imageSize % patchSize != 0) {
      throw new ConfigException(
          "vision_config.patch_size", patchSize, "must divide image_size=" + imageSize);
    }
  }

  /** Patches of one image, the class token not counted. */
  public int patches() {
    return (imageSize / patchSize) * (imageSize / patchSize);
  }
}
