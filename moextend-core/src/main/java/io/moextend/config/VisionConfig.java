package io.moextend.config;

/**
 * How images enter a decoder.
 *
 * @param projector "mlp2x_gelu": Linear, GELU, Linear
 * @param featureLayer which hidden state of the tower is read, counted from the end: -1 the last,
 *     as MoExtend does
 * @param imageStart id of {@code <image>}; {@code </image>} and the padding slot follow it. {@link
 *     #PLACEHOLDER} where no id of the vocabulary marks images
 */
public record VisionConfig(TowerConfig tower, String projector, int featureLayer, int imageStart) {
  /** Stands in a prompt for a whole image: Bunny's and LLaVA's. */
  public static final int PLACEHOLDER = -200;

  public VisionConfig {
    if (!projector.equals("mlp2x_gelu")) {
      throw new ConfigException("mm_projector_type", projector, "known projectors are mlp2x_gelu");
    }
    if (featureLayer >= 0 || -featureLayer > tower.layers() + 1) {
      throw new ConfigException(
          "mm_vision_select_layer",
          featureLayer,
          "must be between -1 and -" + (tower.layers() + 1));
    }
  }

  /** True where ids of the vocabulary mark where an image begins and ends. */
  public boolean marked() {
    return imageStart != PLACEHOLDER;
  }

  public int imageEnd() {
    return imageStart + 1;
  }

  public int imagePad() {
    return imageStart + 2;
  }
}
