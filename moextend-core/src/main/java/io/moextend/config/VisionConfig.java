package io.moextend.config;

import java.util.List;

/**
 * How images enter a decoder.
 *
 * @param projector its published name, "mlp2x_gelu": {@link ProjectorType}
 * @param featureLayer which hidden state of the tower is read, counted from the end: -1 the last,
 *     as MoExtend does, -2 the one before, as MoIIE does
 * @param imageStart id of {@code <image>}; {@code </image>} and the padding slot follow it. {@link
 *     #PLACEHOLDER} where no id of the vocabulary marks images
 * @param scales pixels a side at which an image is looked at, ascending; each a multiple of the
 *     tower's own, which is the first. Empty where it is seen at the tower's size alone
 * @param grid patches side by side that reach the projector; others than the tower's are made by
 *     resizing
 * @param padded true where a picture that is no square is put on one before it is resized
 */
public record VisionConfig(
    TowerConfig tower,
    String projector,
    int featureLayer,
    int imageStart,
    List<Integer> scales,
    int grid,
    boolean padded) {
  /** Stands in a prompt for a whole image: Bunny's and LLaVA's. */
  public static final int PLACEHOLDER = -200;

  /** Patches side by side that Bunny makes of a DINOv2 image. */
  private static final int BUNNY_DINO_GRID = 27;

  public VisionConfig {
    scales = List.copyOf(scales);
    if (featureLayer >= 0 || -featureLayer > tower.layers() + 1) {
      throw new ConfigException(
          "mm_vision_select_layer",
          featureLayer,
          "must be between -1 and -" + (tower.layers() + 1));
    }
    if (tower.family().normedFeatures() && featureLayer != -1) {
      throw new ConfigException(
          "mm_vision_select_layer",
          featureLayer,
          "features of %s are its last state behind the norm; write -1"
              .formatted(tower.modelType()));
    }
    ConfigException.requirePositive("mm_vision_grid", grid);
    requireScales(tower, scales, grid);
    ProjectorType.of(projector).tokens(grid * grid);
  }

  /** An image at the tower's size, all its patches. */
  public VisionConfig(TowerConfig tower, String projector, int featureLayer, int imageStart) {
    this(tower, projector, featureLayer, imageStart, List.of(), tower.grid(), false);
  }

  /**
   * What the published Bunny makes of a tower where its config says no more: the state before the
   * last, and of DINOv2 the last, resized to 27 by 27.
   */
  public static VisionConfig bunny(
      TowerConfig tower, String projector, List<Integer> scales, boolean padded) {
    return new VisionConfig(
        tower, projector, bunnyLayer(tower), PLACEHOLDER, scales, bunnyGrid(tower), padded);
  }

  static int bunnyLayer(TowerConfig tower) {
    return tower.family().normedFeatures() ? -1 : -2;
  }

  static int bunnyGrid(TowerConfig tower) {
    return tower.family() instanceof TowerFamily.Dinov2 ? BUNNY_DINO_GRID : tower.grid();
  }

  /** The same images, put on a square before they are resized or not. */
  public VisionConfig padded(boolean value) {
    return new VisionConfig(tower, projector, featureLayer, imageStart, scales, grid, value);
  }

  private static void requireScales(TowerConfig tower, List<Integer> scales, int grid) {
    if (scales.isEmpty()) {
      return;
    }
    if (scales.getFirst() != tower.imageSize()) {
      throw new ConfigException(
          "s2_scales", scales, "the smallest must be the tower's image_size=" + tower.imageSize());
    }
    int before = 0;
    for (int scale : scales) {
      if (scale <= before || scale % tower.imageSize() != 0) {
        throw new ConfigException(
            "s2_scales",
            scales,
            "%d must be a multiple of image_size=%d, and each scale named once"
                .formatted(scale, tower.imageSize()));
      }
      before = scale;
    }
    if (grid != tower.grid()) {
      throw new ConfigException(
          "mm_vision_grid", grid, "with s2_scales it is the tower's, " + tower.grid());
    }
  }

  public ProjectorType projectorType() {
    return ProjectorType.of(projector);
  }

  /** Pixels a side that an image is given with. */
  public int imageSize() {
    return scales.isEmpty() ? tower.imageSize() : scales.getLast();
  }

  /** Patches of one image that reach the projector. */
  public int patches() {
    return grid * grid;
  }

  /** Width of the patches that reach the projector. */
  public int features() {
    return tower.hidden() * Math.max(1, scales.size());
  }

  /** Tokens that stand for one image in a prompt. */
  public int tokens() {
    return projectorType().tokens(patches());
  }

  /** True where ids of the vocabulary mark where an image begins and ends. */
  public boolean marked() {
    return imageStart != PLACEHOLDER;
  }

  public int imageEnd() {
    return mark(1);
  }

  public int imagePad() {
    return mark(2);
  }

  private int mark(int place) {
    if (!marked()) {
      throw new IllegalStateException("images of this model are marked by no id");
    }
    return imageStart + place;
  }
}
