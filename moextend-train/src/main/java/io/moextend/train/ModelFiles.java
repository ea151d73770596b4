package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.GrownVocabulary;
import io.moextend.checkpoint.Prefixed;
import io.moextend.checkpoint.Selected;
import io.moextend.checkpoint.Union;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.config.VisionConfig;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The files a run starts from, put together: a base, trained weights over it, a vision tower of its
 * own, a tokenizer.
 *
 * @param config of the whole, vision included
 */
public record ModelFiles(ModelSection section, HuggingFaceConfig config, long seed) {
  private static final String TOWER = "model.visual.vision_tower.";
  private static final String INNER = "vision_model.";
  private static final String PREPROCESSOR = "preprocessor_config.json";

  /**
   * @param seed of vocabulary rows that the base does not have
   * @throws ConfigException where the parts do not fit together
   */
  public static ModelFiles of(ModelSection section, Tokenizer tokenizer, long seed) {
    HuggingFaceConfig config = HuggingFaceConfig.read(section.base());
    Path tower = section.visionTower();
    DecoderConfig decoder = config.decoder();
    if (tower != null && decoder.vision() == null) {
      config = config.with(withVision(decoder, HuggingFaceConfig.read(tower).tower(), tokenizer));
    }
    return new ModelFiles(section, config, seed);
  }

  private static DecoderConfig withVision(
      DecoderConfig old, TowerConfig tower, Tokenizer tokenizer) {
    int known = tokenizer.added("<image>");
    int imageStart = known >= 0 ? known : tokenizer.vocabularySize();
    int vocab =
        imageStart + 3 <= old.vocab() ? old.vocab() : imageStart + GrownVocabulary.PUBLISHED_ROWS;
    return old.with(new VisionConfig(tower, "mlp2x_gelu", -1, imageStart), vocab);
  }

  /** All weights under the published names; to be closed. */
  public WeightSource open() {
    Path delta = section.delta();
    WeightSource base =
        delta == null
            ? CheckpointFolder.open(section.base())
            : CheckpointFolder.open(delta, section.base());
    DecoderConfig wanted = config.decoder();
    if (HuggingFaceConfig.read(section.base()).decoder().vocab() < wanted.vocab()) {
      base = new GrownVocabulary(base, wanted.vocab(), wanted.initializerRange(), seed);
    }
    Path tower = section.visionTower();
    return tower == null ? base : withTower(base, tower);
  }

  private static WeightSource withTower(WeightSource base, Path tower) {
    if (base.names().stream().anyMatch(name -> name.startsWith(TOWER))) {
      base.close();
      throw new CheckpointException(
          base.origin() + " holds a vision tower already; leave out model.vision_tower");
    }
    // a whole CLIP or SigLIP has a text side too; DINOv2's names have nothing before them
    WeightSource weights = CheckpointFolder.open(tower);
    boolean within = weights.names().stream().anyMatch(name -> name.startsWith(INNER));
    var alone = new Selected(weights, name -> !within || name.startsWith(INNER));
    return new Union(List.of(base, new Prefixed(alone, TOWER)));
  }

  /** The tokenizer the section names, else the base's. */
  @MustBeClosed
  public static Tokenizer tokenizer(ModelSection section) {
    Path named = section.tokenizer();
    return Tokenizer.open(named == null ? section.base() : named);
  }

  /** How the tower's images are made ready; null where the model takes none. */
  public @Nullable ClipPreprocessing preprocessing() {
    VisionConfig vision = config.decoder().vision();
    if (vision == null) {
      return null;
    }
    return preprocessing(folders(), vision);
  }

  /**
   * The preprocessor_config.json of the first folder that has one, else what the tower's family was
   * trained with; padded where the model's config says so. Where the model looks at several scales,
   * pictures are made as large as the largest; for DINOv2, whose file is about classification, as
   * large as its tower's.
   *
   * @throws ConfigException where the file makes images of another size than the tower's
   */
  public static ClipPreprocessing preprocessing(List<Path> folders, VisionConfig vision) {
    int size = vision.tower().imageSize();
    ClipPreprocessing.Padding padding =
        vision.padded() ? ClipPreprocessing.Padding.SQUARE : ClipPreprocessing.Padding.NONE;
    for (Path folder : folders) {
      Path file = folder.resolve(PREPROCESSOR);
      if (Files.isRegularFile(file)) {
        ClipPreprocessing read = ClipPreprocessing.read(file);
        boolean resized = vision.tower().family() instanceof TowerFamily.Dinov2;
        if (!resized && read.size() != size && read.size() != vision.imageSize()) {
          throw new ConfigException(
              file + ": crop_size",
              read.size(),
              "the model's tower reads %d pixels a side; copy its own %s"
                  .formatted(size, PREPROCESSOR));
        }
        ClipPreprocessing sized =
            read.size() == vision.imageSize() ? read : read.withSize(vision.imageSize());
        return sized.with(padding);
      }
    }
    return usual(vision).with(padding);
  }

  private static ClipPreprocessing usual(VisionConfig vision) {
    int size = vision.imageSize();
    return switch (vision.tower().family()) {
      case TowerFamily.Clip() -> ClipPreprocessing.clip(size);
      case TowerFamily.Siglip _ -> ClipPreprocessing.siglip(size);
      case TowerFamily.Dinov2 _ -> ClipPreprocessing.dino(size);
    };
  }

  private List<Path> folders() {
    Path tower = section.visionTower();
    return tower == null ? List.of(section.base()) : List.of(tower, section.base());
  }

  /** Names of the tower's tensors start with it. */
  static boolean isTower(String name) {
    return name.startsWith(TOWER);
  }
}
