package io.moextend.config;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a decoder's config.json says of images. */
final class VisionJson {
  private static final List<String> MARKS =
      List.of(
          "visual",
          "vision_config",
          "mm_projector_type",
          "mm_hidden_size",
          "mm_vision_tower",
          "mm_vision_select_layer");
  private static final String CLIP_LARGE_336 = "clip-vit-large-patch14-336";
  private static final String PROJECTOR = "mlp2x_gelu";

  private VisionJson() {}

  /**
   * Published MoExtend configs have only {@code visual.image_start_id}; tower, projector and
   * feature layer are then those of the published code. Where {@code mm_vision_tower} stands
   * without {@code visual}, what is left out is Bunny's.
   *
   * @return null where no field speaks of images
   */
  static @Nullable VisionConfig read(JsonFields fields, int vocab) {
    if (MARKS.stream().noneMatch(fields::has)) {
      return null;
    }
    boolean bunny = !fields.has("visual") && fields.has("mm_vision_tower");
    int imageStart = bunny ? VisionConfig.PLACEHOLDER : imageStart(fields, vocab);
    fields.off("use_s2");
    if (!fields.text("mm_vision_select_feature", "patch").equals("patch")) {
      throw fields.wrong("mm_vision_select_feature", "only \"patch\" is supported");
    }
    TowerConfig tower = tower(fields);
    if (fields.count("mm_hidden_size", 1, tower.hidden()) != tower.hidden()) {
      throw fields.wrong("mm_hidden_size", "the vision tower's hidden_size is " + tower.hidden());
    }
    return new VisionConfig(
        tower,
        fields.text("mm_projector_type", PROJECTOR),
        fields.integer("mm_vision_select_layer", bunny ? -2 : -1),
        imageStart);
  }

  private static int imageStart(JsonFields fields, int vocab) {
    int imageStart = fields.object("visual").count("image_start_id", 0);
    if (imageStart > vocab - 3) {
      throw fields
          .object("visual")
          .wrong(
              "image_start_id",
              "it and the two ids behind it must lie below vocab_size="
                  + vocab
                  + "; is vocab_size that of the text model before its embeddings were widened?");
    }
    return imageStart;
  }

  private static TowerConfig tower(JsonFields fields) {
    if (fields.has("vision_config")) {
      return TowerJson.read(fields.object("vision_config"));
    }
    if (fields.has("mm_vision_tower") && !fields.text("mm_vision_tower").endsWith(CLIP_LARGE_336)) {
      throw fields.wrong(
          "mm_vision_tower", "another tower than " + CLIP_LARGE_336 + " needs its vision_config");
    }
    return TowerConfig.CLIP_LARGE_336;
  }

  static void write(VisionConfig vision, ObjectNode json) {
    json.set("vision_config", TowerJson.write(vision.tower()));
    json.put("mm_projector_type", vision.projector());
    json.put("mm_hidden_size", vision.tower().hidden());
    json.put("mm_vision_select_layer", vision.featureLayer());
    if (vision.marked()) {
      json.putObject("visual").put("image_start_id", vision.imageStart());
    } else {
      json.put("mm_vision_tower", vision.tower().modelType());
    }
  }
}
