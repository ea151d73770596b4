package io.moextend.cli;

import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.config.DecoderConfig;
import io.moextend.config.VisionConfig;
import io.moextend.data.FeatureCache;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.train.TrainConfig;
import java.io.PrintStream;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** What the frozen tower makes of pictures, kept on disk from one run to the next. */
final class TowerFeatures {
  private TowerFeatures() {}

  /**
   * Null where no folder for it is named, or no pictures are seen.
   *
   * @param model whose tower it is
   * @param weights of the whole model; another tower has other features
   * @param out hears of what is made anew
   */
  static @Nullable FeatureCache cache(
      TrainConfig config,
      DecoderConfig model,
      @Nullable ClipPreprocessing preprocessing,
      FrozenProof weights,
      PrintStream out) {
    Path folder = config.data().featureCache();
    VisionConfig vision = model.vision();
    if (folder == null || vision == null || preprocessing == null) {
      return null;
    }
    String prefix = model.type().eyes().tower() + ".";
    FrozenProof tower = weights.only(name -> name.startsWith(prefix));
    String key =
        "%s layer %d scales %s grid %d %s %s"
            .formatted(
                Fingerprint.of(tower).hex(),
                vision.featureLayer(),
                vision.scales(),
                vision.grid(),
                config.training().dtype(),
                preprocessing.fingerprint());
    return new FeatureCache(
        folder,
        key,
        vision.patches(),
        vision.features(),
        (entry, why) -> out.println("feature cache: " + entry + " is made anew: " + why));
  }
}
