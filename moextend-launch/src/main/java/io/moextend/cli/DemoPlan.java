package io.moextend.cli;

import io.moextend.backend.Activation;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.demo.DemoData;
import io.moextend.demo.DemoTokenizer;
import io.moextend.demo.ScenePicture;
import java.util.List;
import java.util.TreeSet;

/**
 * How large the demo's world and model are, and how long each stage trains.
 *
 * @param hidden width of the language model
 * @param sizes of the data
 */
record DemoPlan(
    int hidden,
    int layers,
    DemoData.Sizes sizes,
    Steps pretrain,
    Steps alignment,
    Steps extension,
    Steps finetune) {
  /**
   * One stage.
   *
   * @param count optimizer steps
   * @param batch samples of a step
   * @param learningRate peak of the cosine
   */
  record Steps(int count, int batch, double learningRate) {}

  private static final int HEAD = 32;
  private static final int TOWER = 256;
  private static final int EXPERTS = 8;
  private static final int CHOSEN = 2;
  private static final int ROUND = 16; // vocabulary rows come in multiples of it
  private static final int POSITIONS = 256;

  /** What proves the method, in minutes on two cores. */
  static DemoPlan usual() {
    return new DemoPlan(
        128,
        4,
        new DemoData.Sizes(2304, 144, 3000, 9000, 0.05),
        new Steps(400, 32, 3e-3),
        new Steps(300, 32, 3e-3),
        new Steps(20, 32, 1e-3),
        new Steps(500, 32, 2e-3));
  }

  /** What shows that the chain holds, in seconds; little is learnt. */
  static DemoPlan quick() {
    return new DemoPlan(
        64,
        2,
        new DemoData.Sizes(192, 48, 300, 1800, 0.1),
        new Steps(150, 16, 5e-3),
        new Steps(60, 16, 5e-3),
        new Steps(5, 16, 1e-3),
        new Steps(60, 16, 5e-3));
  }

  /** Each of them. */
  List<Steps> stages() {
    return List.of(pretrain, alignment, extension, finetune);
  }

  /** A Mixtral that knows nothing of pictures, with rows for their three tokens. */
  HuggingFaceConfig languageModel() {
    int vocab = Math.ceilDiv(DemoTokenizer.INSTRUCTIONS.vocabularySize(), ROUND) * ROUND;
    return HuggingFaceConfig.of(
        new DecoderConfig(
            "mixtral",
            vocab,
            hidden,
            layers,
            new DecoderConfig.Heads(hidden / HEAD, hidden / HEAD, HEAD),
            new DecoderConfig.Rope(10_000, POSITIONS),
            0,
            1e-5,
            0.05,
            false,
            new FeedForwardConfig.Experts(hidden, EXPERTS, CHOSEN, new TreeSet<>(), 0.01),
            new DecoderConfig.SpecialTokens(DemoTokenizer.START, DemoTokenizer.END, null),
            null));
  }

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
   * weights start larger than usual, or its layer would add next to nothing to the pixels.
   */
  HuggingFaceConfig tower() {
    return HuggingFaceConfig.of(
        new TowerConfig(
            new TowerFamily.Clip(),
            TOWER,
            2 * TOWER,
            1,
            4,
            3,
            ScenePicture.PIXELS,
            8,
            Activation.QUICK_GELU,
            1e-5,
            0.05));
  }
}
