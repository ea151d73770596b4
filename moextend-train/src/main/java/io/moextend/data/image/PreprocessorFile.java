package io.moextend.data.image;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.data.image.ClipPreprocessing.Fit;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** preprocessor_config.json, strict on whatever changes numbers. */
final class PreprocessorFile {
  private static final int BICUBIC = 3;
  private static final String SIGLIP = "Siglip";
  private static final Set<String> KNOWN =
      Set.of(
          "do_resize",
          "size",
          "resample",
          "do_center_crop",
          "crop_size",
          "do_rescale",
          "rescale_factor",
          "do_normalize",
          "image_mean",
          "image_std",
          "do_convert_rgb");

  /** Names of classes and the like. */
  private static final Set<String> WITHOUT_EFFECT =
      Set.of(
          "image_processor_type",
          "feature_extractor_type",
          "processor_class",
          "_valid_processor_keys",
          "data_format",
          "input_data_format",
          "device",
          "return_tensors");

  private final Path file;
  private final JsonNode json;

  private PreprocessorFile(Path file, JsonNode json) {
    this.file = file;
    this.json = json;
  }

  static ClipPreprocessing read(Path file) {
    try {
      return new PreprocessorFile(
              file, JsonMapper.builder().build().readTree(Files.readAllBytes(file)))
          .preprocessing();
    } catch (JsonProcessingException e) {
      throw new ImageException(
          "%s is no JSON: %s; copy it anew".formatted(file, e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new ImageException(
          "%s cannot be read (%s); copy preprocessor_config.json from the tower's folder"
              .formatted(file, e.getMessage()),
          e);
    }
  }

  private ClipPreprocessing preprocessing() {
    if (!json.isObject()) {
      throw wrong("", json, "must be a JSON object");
    }
    for (String name : (Iterable<String>) json::fieldNames) {
      if (!KNOWN.contains(name) && !WITHOUT_EFFECT.contains(name)) {
        throw wrong(name, json.get(name), "is not known and might change numbers; take it out");
      }
    }
    for (String step : List.of("do_resize", "do_rescale", "do_normalize")) {
      if (!flag(step)) {
        throw wrong(step, json.get(step), "only true is supported");
      }
    }
    int resample = json.path("resample").asInt(BICUBIC);
    if (resample != BICUBIC) {
      throw wrong("resample", json.get("resample"), "only 3 (bicubic) is supported");
    }
    JsonNode size = json.path("size");
    // the processor's class decides what is left unsaid: CLIP crops, SigLIP does not
    boolean square =
        size.has("height")
            && (!json.has("crop_size")
                || json.path("image_processor_type").asText().startsWith(SIGLIP));
    boolean crops = json.has("do_center_crop") ? flag("do_center_crop") : !square;
    if (!crops && !size.has("height")) {
      throw wrong("do_center_crop", json.get("do_center_crop"), "needs size.height and size.width");
    }
    Fit fit = crops ? new Fit.ShortestEdge(edge(size)) : new Fit.Stretch();
    int side = crops ? side("crop_size", json.path("crop_size")) : side("size", size);
    return new ClipPreprocessing(
        side,
        fit,
        number("rescale_factor", 1 / 255.0),
        numbers("image_mean"),
        numbers("image_std"));
  }

  private boolean flag(String name) {
    JsonNode value = json.path(name);
    if (!value.isMissingNode() && !value.isNull() && !value.isBoolean()) {
      throw wrong(name, value, "must be true or false");
    }
    return value.asBoolean(true);
  }

  private int edge(JsonNode size) {
    JsonNode edge = size.isInt() ? size : size.path("shortest_edge");
    if (!edge.isInt()) {
      throw wrong("size", size, "must be a number or {\"shortest_edge\": number}");
    }
    return edge.asInt();
  }

  private int side(String name, JsonNode size) {
    if (size.isInt()) {
      return size.asInt();
    }
    if (!size.path("height").isInt() || !size.path("height").equals(size.path("width"))) {
      throw wrong(name, size, "must be a number or {\"height\": n, \"width\": n}, both the same");
    }
    return size.path("height").asInt();
  }

  private double number(String name, double usual) {
    JsonNode value = json.path(name);
    if (!value.isMissingNode() && !value.isNumber()) {
      throw wrong(name, value, "must be a number");
    }
    return value.asDouble(usual);
  }

  private List<Double> numbers(String name) {
    List<Double> out = new ArrayList<>();
    for (JsonNode value : json.path(name)) {
      if (!value.isNumber()) {
        throw wrong(name, json.get(name), "must be three numbers");
      }
      out.add(value.asDouble());
    }
    if (out.size() != 3) {
      throw wrong(name, json.path(name), "must be three numbers");
    }
    return out;
  }

  private ImageException wrong(String name, @Nullable JsonNode value, String mend) {
    return new ImageException("%s: %s=%s: %s".formatted(file, name, value, mend));
  }
}
