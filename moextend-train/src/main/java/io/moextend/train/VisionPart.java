package io.moextend.train;

import io.moextend.checkpoint.GrownVocabulary;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.DecoderType;
import io.moextend.config.DecoderType.Eyes;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.config.TowerConfig;
import io.moextend.config.VisionConfig;
import io.moextend.text.Tokenizer;
import io.moextend.train.ModelSection.AspectRatio;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** How a run's model sees: as its base does, or through a tower that it is given. */
record VisionPart(ModelSection section, HuggingFaceConfig base) {
  private static final String PROJECTOR = "mlp2x_gelu";

  static VisionPart of(ModelSection section) {
    HuggingFaceConfig base = HuggingFaceConfig.read(section.base());
    if (base.model() instanceof T5Config) {
      throw new ConfigException(
          "model.base",
          section.base(),
          "is an encoder-decoder, which --stage adapt trains; its --method full trains all of it");
    }
    return new VisionPart(section, base);
  }

  /** The model's type, a tower added. */
  DecoderType type() {
    DecoderConfig decoder = base.decoder();
    return tower() == null ? decoder.type() : decoder.type().seeing();
  }

  /** The tower that is added; null where there is none, or the base knows its own. */
  private @Nullable Path tower() {
    return base.decoder().vision() == null ? section.visionTower() : null;
  }

  /**
   * The whole model's config.
   *
   * @throws ConfigException where the section says otherwise than a base that sees already, or
   *     speaks of images where there is no tower
   */
  HuggingFaceConfig config(Tokenizer tokenizer) {
    DecoderConfig decoder = base.decoder();
    VisionConfig known = decoder.vision();
    Path tower = tower();
    if (known != null) {
      requireAsBase(known);
      boolean padded = padded(known.padded());
      return padded == known.padded()
          ? base
          : base.with(decoder.with(known.padded(padded), decoder.vocab()));
    }
    if (tower == null) {
      requireNothingOfImages();
      return base;
    }
    DecoderConfig seeing = decoder.with(decoder.type().seeing());
    TowerConfig added = HuggingFaceConfig.read(tower).tower();
    return base.with(
        seeing.type().eyes() == Eyes.BUNNY
            ? seeing.with(
                VisionConfig.bunny(added, projector(), scales(), padded(false)), seeing.vocab())
            : marking(seeing, added, tokenizer));
  }

  /** MoExtend's way: three ids more, which mark where an image begins and ends. */
  private DecoderConfig marking(DecoderConfig old, TowerConfig tower, Tokenizer tokenizer) {
    int known = tokenizer.added("<image>");
    int imageStart = known >= 0 ? known : tokenizer.vocabularySize();
    int vocab =
        imageStart + 3 <= old.vocab() ? old.vocab() : imageStart + GrownVocabulary.PUBLISHED_ROWS;
    return old.with(
        new VisionConfig(tower, projector(), -1, imageStart, scales(), tower.grid(), padded(false)),
        vocab);
  }

  private String projector() {
    String asked = section.projectorType();
    return asked == null ? PROJECTOR : asked;
  }

  private List<Integer> scales() {
    List<Integer> asked = section.s2Scales();
    return asked == null ? List.of() : asked;
  }

  private boolean padded(boolean ifNotAsked) {
    AspectRatio asked = section.imageAspectRatio();
    return asked == null ? ifNotAsked : asked == AspectRatio.PAD;
  }

  /** Its weights were made for what it says; only how pictures are made square may change. */
  private void requireAsBase(VisionConfig known) {
    String projector = section.projectorType();
    if (projector != null && !projector.equals(known.projector())) {
      throw new ConfigException(
          "model.projector_type",
          projector,
          "%s has the projector %s; leave it out, or name a base that sees nothing yet"
              .formatted(section.base(), known.projector()));
    }
    List<Integer> scales = section.s2Scales();
    if (scales != null && !scales.equals(known.scales())) {
      throw new ConfigException(
          "model.s2_scales",
          scales,
          "%s looks at images %s; leave it out, or name a base that sees nothing yet"
              .formatted(
                  section.base(),
                  known.scales().isEmpty() ? "at one scale" : "at the scales " + known.scales()));
    }
  }

  private void requireNothingOfImages() {
    requireAbsent("model.projector", section.projector());
    requireAbsent("model.projector_type", section.projectorType());
    requireAbsent("model.s2_scales", section.s2Scales());
    AspectRatio aspect = section.imageAspectRatio();
    requireAbsent(
        "model.image_aspect_ratio", aspect == null ? null : aspect.name().toLowerCase(Locale.ROOT));
  }

  private static void requireAbsent(String field, @Nullable Object value) {
    if (value != null) {
      throw new ConfigException(
          field, value, "the model has no vision part; name a tower in model.vision_tower");
    }
  }
}
