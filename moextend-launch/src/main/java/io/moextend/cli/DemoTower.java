package io.moextend.cli;

import io.moextend.backend.Activation;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.demo.ScenePicture;

/** What the demos' models see with. */
final class DemoTower {
  private static final int WIDTH = 256;

  private DemoTower() {}

  /**
   * The tower's preprocessor_config.json: the pictures' dark background becomes 0, so that a random
   * tower's patches differ by what stands on them and by their place.
   */
  static String preprocessing() {
    return """
        {
          "image_processor_type": "CLIPImageProcessor",
          "do_resize": true,
          "size": {"shortest_edge": 48},
          "resample": 3,
          "do_center_crop": true,
          "crop_size": {"height": 48, "width": 48},
          "do_rescale": true,
          "rescale_factor": 0.00392156862745098,
          "do_normalize": true,
          "image_mean": [0.18, 0.18, 0.18],
          "image_std": [1.0, 1.0, 1.0],
          "do_convert_rgb": true
        }
        """;
  }

  /**
   * A tower that was never trained: a random projection of patches and their neighbourhood. Its
   * weights start larger than usual, or its layers would add next to nothing to the pixels.
   */
  static HuggingFaceConfig config(int layers) {
    return HuggingFaceConfig.of(
        new TowerConfig(
            new TowerFamily.Clip(),
            WIDTH,
            2 * WIDTH,
            layers,
            4,
            3,
            ScenePicture.PIXELS,
            8,
            Activation.QUICK_GELU,
            1e-5,
            0.05));
  }
}
