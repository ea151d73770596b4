package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which model is trained.
 *
 * @param base folder of a Hugging Face checkpoint
 * @param delta folder of trained weights to lay over the base: an earlier stage's result, or
 *     adapters to go on from
 * @param visionTower folder of the vision tower, where the base does not hold one
 * @param tokenizer tokenizer file or its folder, where not in the base
 * @param projector folder whose projector is taken, where the base does not hold one: a whole model
 *     or a delta, of whatever base
 * @param projectorType by its published name; null = the base's, or mlp2x_gelu where it has none
 * @param s2Scales pixels a side at which the tower looks at an image; null = the base's, or at one
 *     where it has none
 * @param imageAspectRatio null = the base's, or square where it has none
 */
public record ModelSection(
    Path base,
    @Nullable Path delta,
    @Nullable Path visionTower,
    @Nullable Path tokenizer,
    @Nullable Path projector,
    @Nullable String projectorType,
    @Nullable List<Integer> s2Scales,
    @Nullable AspectRatio imageAspectRatio) {
  /** What becomes of a picture that is no square. */
  public enum AspectRatio {
    /** It is put on one in the tower's mean colour. */
    @JsonProperty("pad")
    PAD,
    /** It is given to the tower's preprocessing as it is. */
    @JsonProperty("square")
    SQUARE
  }

  public ModelSection {
    s2Scales = s2Scales == null ? null : s2Scales.stream().sorted().toList();
  }

  /** A model that sees images as its base does. */
  public ModelSection(
      Path base, @Nullable Path delta, @Nullable Path visionTower, @Nullable Path tokenizer) {
    this(base, delta, visionTower, tokenizer, null, null, null, null);
  }
}
