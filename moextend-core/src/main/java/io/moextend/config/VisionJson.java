package io.moextend.config;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What a decoder's config.json says of images, MoExtend's or Bunny's. */
final class VisionJson {
  static final String TOWER = "vision_config";

  /** Fields of which a config of a model with images has at least one. */
  static final List<String> MARKS =
      List.of(
          "visual",
          TOWER,
          "mm_projector_type",
          "mm_hidden_size",
          "mm_vision_tower",
          "mm_vision_select_layer");

  /** Towers known by the end of their name, and who published them. */
  private static final Map<String, TowerConfig> NAMED =
      Map.of(
          "openai/clip-vit-large-patch14-336", TowerConfig.CLIP_LARGE_336,
          "google/siglip-so400m-patch14-384", TowerConfig.SIGLIP_SO400M_384);

  private static final String PROJECTOR = "mlp2x_gelu";
  private static final String PAD = "pad";
  private static final String SQUARE = "square";
  private static final String SCALES = "384,768,1152";

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
    if (!fields.text("mm_vision_select_feature", "patch").equals("patch")) {
      throw fields.wrong("mm_vision_select_feature", "only \"patch\" is supported");
    }
    fields.absent("mm_vision_tower_aux", "a second tower is not built");
    TowerConfig tower = tower(fields);
    VisionConfig vision =
        new VisionConfig(
            tower,
            fields.text("mm_projector_type", PROJECTOR),
            fields.integer("mm_vision_select_layer", bunny ? VisionConfig.bunnyLayer(tower) : -1),
            imageStart,
            scales(fields),
            fields.count("mm_vision_grid", 1, bunny ? VisionConfig.bunnyGrid(tower) : tower.grid()),
            padded(fields));
    if (fields.count("mm_hidden_size", 1, vision.features()) != vision.features()) {
      throw fields.wrong(
          "mm_hidden_size",
          vision.scales().isEmpty()
              ? "the vision tower's hidden_size is " + tower.hidden()
              : "%d scales of the vision tower's hidden_size=%d make %d"
                  .formatted(vision.scales().size(), tower.hidden(), vision.features()));
    }
    return vision;
  }

  /**
   * The config of a tower that is named by its folder, which stands beside the model's or in it.
   *
   * @param file the model's config.json
   * @return null where the tower is known otherwise, or no such folder is there
   */
  static @Nullable Path towerBeside(ObjectNode json, Path file) {
    String named = json.path("mm_vision_tower").asText();
    Path folder = file.toAbsolutePath().getParent();
    if (named.isEmpty() || json.has(TOWER) || folder == null || known(named) != null) {
      return null;
    }
    // the last name alone, so that a config leads nowhere else
    String last = named.substring(named.lastIndexOf('/') + 1);
    if (last.isEmpty() || last.startsWith(".")) {
      return null;
    }
    return Stream.of(folder.resolve(last), folder.resolveSibling(last))
        .map(place -> place.resolve(HuggingFaceConfig.FILE))
        .filter(Files::isRegularFile)
        .findFirst()
        .orElse(null);
  }

  private static @Nullable TowerConfig known(String name) {
    return NAMED.entrySet().stream()
        .filter(known -> name.endsWith(bare(known.getKey())))
        .map(Map.Entry::getValue)
        .findFirst()
        .orElse(null);
  }

  private static String bare(String published) {
    return published.substring(published.lastIndexOf('/') + 1);
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

  private static boolean padded(JsonFields fields) {
    return switch (fields.text("image_aspect_ratio", SQUARE)) {
      case PAD -> true;
      case SQUARE -> false;
      default -> throw fields.wrong("image_aspect_ratio", "only \"pad\" and \"square\" are built");
    };
  }

  /** Written as "384,768,1152", in any order. */
  private static List<Integer> scales(JsonFields fields) {
    if (!fields.flag("use_s2", false)) {
      return List.of();
    }
    var scales = new ArrayList<Integer>();
    for (String scale : Arrays.asList(fields.text("s2_scales", SCALES).split(",", -1))) {
      try {
        scales.add(Integer.parseInt(scale.trim()));
      } catch (NumberFormatException e) {
        throw fields.wrong("s2_scales", "write sizes with commas between them: \"" + SCALES + "\"");
      }
    }
    return scales.stream().sorted().toList();
  }

  private static TowerConfig tower(JsonFields fields) {
    if (fields.has(TOWER)) {
      return TowerJson.read(fields.object(TOWER), TowerJson.CLIP);
    }
    if (!fields.has("mm_vision_tower")) {
      return TowerConfig.CLIP_LARGE_336;
    }
    String name = fields.text("mm_vision_tower");
    TowerConfig known = known(name);
    if (known == null) {
      throw fields.wrong(
          "mm_vision_tower",
          "another tower than %s needs its %s, or its folder beside this one"
              .formatted(
                  NAMED.keySet().stream()
                      .map(VisionJson::bare)
                      .sorted()
                      .collect(Collectors.joining(" and ")),
                  TOWER));
    }
    return known;
  }

  static void write(VisionConfig vision, ObjectNode json) {
    TowerConfig tower = vision.tower();
    json.set(TOWER, TowerJson.write(tower));
    json.put("mm_projector_type", vision.projector());
    json.put("mm_hidden_size", vision.features());
    json.put("mm_vision_select_layer", vision.featureLayer());
    if (vision.grid() != tower.grid() || tower.family() instanceof TowerFamily.Dinov2) {
      json.put("mm_vision_grid", vision.grid());
    }
    if (!vision.scales().isEmpty()) {
      json.put("use_s2", true);
      json.put(
          "s2_scales",
          vision.scales().stream().map(String::valueOf).collect(Collectors.joining(",")));
    }
    if (vision.padded()) {
      json.put("image_aspect_ratio", PAD);
    }
    if (vision.marked()) {
      json.putObject("visual").put("image_start_id", vision.imageStart());
    } else {
      writeBunny(tower, json);
    }
  }

  /** Bunny tells towers apart by a word in their name, and reads these beside it. */
  private static void writeBunny(TowerConfig tower, ObjectNode json) {
    json.put(
        "mm_vision_tower",
        NAMED.entrySet().stream()
            .filter(known -> known.getValue().equals(tower))
            .map(Map.Entry::getKey)
            .findFirst()
            .orElse(tower.modelType()));
    json.put("use_mm_proj", true);
    json.put("mm_use_im_start_end", false);
    json.put("tokenizer_padding_side", "right");
  }
}
