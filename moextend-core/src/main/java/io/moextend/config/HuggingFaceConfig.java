package io.moextend.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeSet;

/**
 * A config.json as Hugging Face publishes it, and what it says of the model. Fields that we do not
 * interpret are kept and written back as they were; {@link #with} changes only those that a changed
 * model changes.
 */
public final class HuggingFaceConfig {
  /** The name it has in a model's folder. */
  public static final String FILE = "config.json";

  /** Whole models of text and images, whose {@code vision_config} is read, and the tower's type. */
  private static final Map<String, String> PAIRS =
      Map.of("clip", TowerJson.CLIP, "siglip", TowerJson.SIGLIP);

  private final ObjectNode json;
  private final ModelConfig model;

  private HuggingFaceConfig(ObjectNode json, ModelConfig model) {
    this.json = json;
    this.model = model;
  }

  /**
   * Reads the decoders of {@link DecoderType}, a T5, a vision tower, and of a whole CLIP or SigLIP
   * its {@code vision_config}.
   *
   * @param path the file, or the folder it stands in
   * @throws ConfigException naming file and field, where a field is missing, of the wrong type, or
   *     asks for something that is not built and would change the numbers
   */
  public static HuggingFaceConfig read(Path path) {
    Path file = PublishedJson.fileOf(path);
    ObjectNode json = PublishedJson.read(file);
    Path tower = VisionJson.towerBeside(json, file);
    if (tower != null) {
      // so that what is written later needs no folder beside it
      json.set(VisionJson.TOWER, TowerJson.write(read(tower).tower()));
    }
    return new HuggingFaceConfig(json, interpret(json, file));
  }

  private static ModelConfig interpret(ObjectNode json, Path file) {
    try {
      return interpret(new JsonFields(file.toString(), "", json));
    } catch (ConfigException e) {
      String message = String.valueOf(e.getMessage());
      if (message.startsWith(file + ": ")) {
        throw e;
      }
      // a record's own check does not know the file
      throw new ConfigException(file + ": " + message, e);
    }
  }

  /**
   * The language model alone of a decoder's config.json: what it says of images is passed over, so
   * that no tower need be known.
   *
   * @param json stays as it is
   * @param file where it was read, for messages
   * @throws ConfigException as {@link #read}
   */
  public static DecoderConfig languageModel(ObjectNode json, Path file) {
    ObjectNode text = json.deepCopy();
    VisionJson.MARKS.forEach(text::remove);
    return new HuggingFaceConfig(text, interpret(text, file)).decoder();
  }

  /**
   * The config of a model that was made here and has no published file.
   *
   * @throws ConfigException where no published architecture can say it
   */
  public static HuggingFaceConfig of(ModelConfig model) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.putArray("architectures").add(architecture(model));
    json.setAll(written(model, false));
    return checked(json, model);
  }

  /** What is written must say the same when it is read. */
  private static HuggingFaceConfig checked(ObjectNode json, ModelConfig model) {
    ModelConfig readBack = interpret(new JsonFields(FILE, "", json));
    if (!readBack.equals(model)) {
      throw new ConfigException(
          FILE + ": cannot say " + model + "; it would be read as " + readBack);
    }
    return new HuggingFaceConfig(json, model);
  }

  private static ModelConfig interpret(JsonFields fields) {
    String type = fields.text("model_type");
    var decoder = DecoderType.of(type);
    if (decoder.isPresent()) {
      return DecoderJson.read(fields, decoder.get());
    }
    return switch (type) {
      case T5Config.TYPE -> T5Json.read(fields);
      case TowerJson.CLIP, TowerJson.SIGLIP, TowerJson.DINO -> TowerJson.read(fields, type);
      default -> {
        String tower = PAIRS.get(type);
        if (tower != null) {
          yield TowerJson.read(fields.object("vision_config"), tower);
        }
        throw fields.wrong(
            "model_type",
            "known are %s, %s, %s and of pairs %s"
                .formatted(
                    String.join(", ", DecoderType.modelTypes()),
                    T5Config.TYPE,
                    String.join(", ", TowerJson.TYPES),
                    new TreeSet<>(PAIRS.keySet())));
      }
    };
  }

  public ModelConfig model() {
    return model;
  }

  /**
   * @throws ConfigException where it is another kind of model's
   */
  public DecoderConfig decoder() {
    return switch (model) {
      case DecoderConfig decoder -> decoder;
      case T5Config _ -> throw unwanted("a decoder-only language model");
      case TowerConfig _ -> throw unwanted("a language model");
    };
  }

  /**
   * @throws ConfigException where it is another kind of model's
   */
  public T5Config t5() {
    return switch (model) {
      case T5Config t5 -> t5;
      case DecoderConfig _, TowerConfig _ -> throw unwanted("a T5");
    };
  }

  /**
   * @throws ConfigException where it is a language model's
   */
  public TowerConfig tower() {
    return switch (model) {
      case TowerConfig tower -> tower;
      case DecoderConfig _, T5Config _ -> throw unwanted("a vision tower");
    };
  }

  private ConfigException unwanted(String wanted) {
    return new ConfigException("model_type", model.modelType(), wanted + " is wanted here");
  }

  /**
   * The same file about a changed model: only the fields that differ are touched.
   *
   * @throws ConfigException where such a file could not be read back
   */
  public HuggingFaceConfig with(ModelConfig changed) {
    boolean nested = PAIRS.containsKey(json.path("model_type").asText());
    ObjectNode merged = json.deepCopy();
    merge(merged, written(model, nested), written(changed, nested));
    if (!changed.modelType().equals(model.modelType())) {
      // who reads the new type is another class, and none that the old model's folder brings along
      merged.putArray("architectures").add(architecture(changed));
      merged.remove("auto_map");
    }
    return checked(merged, changed);
  }

  /** The same with a field that says nothing to us, and something to a published reader. */
  public HuggingFaceConfig with(String field, boolean value) {
    ObjectNode changed = json();
    changed.put(field, value);
    return new HuggingFaceConfig(changed, model);
  }

  /** Puts into {@code target} what is different between before and after. */
  private static void merge(ObjectNode target, ObjectNode before, ObjectNode after) {
    for (var field : after.properties()) {
      String name = field.getKey();
      JsonNode old = before.get(name);
      if (field.getValue().equals(old)) {
        continue;
      }
      if (field.getValue() instanceof ObjectNode now) {
        ObjectNode inside =
            target.get(name) instanceof ObjectNode there ? there : target.putObject(name);
        merge(inside, old instanceof ObjectNode was ? was : now.objectNode(), now);
      } else {
        target.set(name, field.getValue());
      }
    }
    for (var field : before.properties()) {
      if (!after.has(field.getKey())) {
        target.remove(field.getKey());
      }
    }
  }

  private static ObjectNode written(ModelConfig model, boolean nested) {
    return switch (model) {
      case DecoderConfig decoder -> DecoderJson.write(decoder);
      case T5Config t5 -> T5Json.write(t5);
      case TowerConfig tower when nested -> {
        ObjectNode pair = JsonNodeFactory.instance.objectNode();
        pair.set("vision_config", TowerJson.write(tower));
        yield pair;
      }
      case TowerConfig tower -> TowerJson.write(tower);
    };
  }

  private static String architecture(ModelConfig model) {
    return switch (model) {
      case DecoderConfig decoder -> decoder.type().architecture();
      case T5Config _ -> "T5ForConditionalGeneration";
      case TowerConfig tower ->
          switch (tower.family()) {
            case TowerFamily.Clip _ -> "CLIPVisionModel";
            case TowerFamily.Siglip _ -> "SiglipVisionModel";
            case TowerFamily.Dinov2 _ -> "Dinov2Model";
          };
    };
  }

  /**
   * Tokens of the longest row that the published MoIIE keeps when it puts images in; 0 where the
   * config does not say.
   *
   * @throws ConfigException where rows would be filled up on the left
   */
  public int longestRow() {
    var fields = new JsonFields(FILE, "", json);
    if (!fields.text("tokenizer_padding_side", "right").equals("right")) {
      throw fields.wrong("tokenizer_padding_side", "only \"right\" is built");
    }
    JsonNode length = json.path("tokenizer_model_max_length");
    // a tokenizer without a limit writes a number beyond every integer
    return length.canConvertToInt() ? length.asInt() : 0;
  }

  /** A copy of the JSON, every field of the original with it. */
  public ObjectNode json() {
    return json.deepCopy();
  }

  /**
   * @throws IOException where the disk refuses
   */
  public void write(Path file) throws IOException {
    PublishedJson.write(json, file);
  }
}
