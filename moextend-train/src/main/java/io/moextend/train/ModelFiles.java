package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.Adapters;
import io.moextend.adapter.StoredAdapter;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.TowerFamily;
import io.moextend.config.VisionConfig;
import io.moextend.data.Talk;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The files a run starts from, put together: a base, trained weights over it, a vision tower and a
 * projector of their own, a tokenizer.
 *
 * @param config of the whole, vision included
 */
public record ModelFiles(ModelSection section, HuggingFaceConfig config, long seed) {
  private static final String PREPROCESSOR = "preprocessor_config.json";

  /**
   * @param tokenizer opened by {@link #tokenizer}
   * @param seed of vocabulary rows that the base does not have
   * @throws ConfigException where the parts do not fit together
   */
  public static ModelFiles of(ModelSection section, Tokenizer tokenizer, long seed) {
    return new ModelFiles(section, VisionPart.of(section).config(tokenizer), seed);
  }

  /**
   * All weights under the published names; to be closed.
   *
   * @throws CheckpointException where a part is missing, there twice, or not as wide as the others
   */
  public WeightSource open() {
    return new ModelWeights(section, config.decoder(), seed).open();
  }

  /**
   * Where the section's delta is a folder of adapters.
   *
   * @throws ConfigException where they are not those that the run asks for
   */
  public void requireAdapter(AdapterSection asked) {
    Path delta = section.delta();
    if (delta != null && StoredAdapter.isIn(delta)) {
      asked.requireSame("model.delta", delta, config.decoder());
    }
  }

  /**
   * To be called when the model is built.
   *
   * @param initialised tensors that started fresh
   * @throws ConfigException where adapters to go on from do not stand at all the places they should
   */
  public void requireAdapter(List<String> initialised) {
    Path delta = section.delta();
    if (delta == null || !StoredAdapter.isIn(delta)) {
      return;
    }
    for (String name : initialised) {
      if (Adapters.isTensor(name)) {
        throw new ConfigException(
            "model.delta",
            delta,
            "has nothing for %s; make adapter.target_modules what it was".formatted(name));
      }
    }
  }

  /**
   * To be called when the model is built.
   *
   * @param initialised tensors that started fresh
   * @throws ConfigException where the projector is to be that of a folder and is not whole there
   */
  public void requireProjector(List<String> initialised) {
    Path projector = section.projector();
    String prefix = config.decoder().type().eyes().projector() + ".";
    if (projector == null) {
      return;
    }
    for (String name : initialised) {
      if (name.startsWith(prefix)) {
        throw new ConfigException(
            "model.projector",
            projector,
            "has nothing for %s; is its projector of another model.projector_type?"
                .formatted(name));
      }
    }
  }

  /**
   * How the section's model is spoken to.
   *
   * @param key as in {@link Talk#named}
   */
  public static Talk talk(ModelSection section, String key) {
    return Talk.named(key, VisionPart.of(section).type());
  }

  /** The tokenizer the section names, else the base's, as the model is usually spoken to. */
  @MustBeClosed
  public static Tokenizer tokenizer(ModelSection section) {
    return tokenizer(section, talk(section, Talk.AUTO));
  }

  /** The tokenizer the section names, else the base's. */
  @MustBeClosed
  public static Tokenizer tokenizer(ModelSection section, Talk talk) {
    Path named = section.tokenizer();
    return talk.open(named == null ? section.base() : named);
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
}
