package io.moextend.config;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.backend.Activation;
import java.util.List;

/** A vision tower's fields in a config.json, its own or another's {@code vision_config}. */
final class TowerJson {
  static final String CLIP = "clip_vision_model";
  static final String SIGLIP = "siglip_vision_model";
  static final String DINO = "dinov2";
  static final List<String> TYPES = List.of(CLIP, SIGLIP, DINO);

  /** Published DINOv2 towers are four times as wide within. */
  private static final int WIDENING = 4;

  private TowerJson() {}

  /**
   * What Hugging Face leaves out of nested configs has the value of its own config class: 3
   * channels, initializer range 0.02; CLIP quick_gelu and epsilon 1e-5, SigLIP gelu_pytorch_tanh
   * and 1e-6, DINOv2 gelu and 1e-6.
   *
   * @param ifAbsent the type where none is written
   */
  static TowerConfig read(JsonFields fields, String ifAbsent) {
    String type = fields.text("model_type", ifAbsent);
    return switch (type) {
      case CLIP -> {
        fields.only("attention_dropout", 0);
        yield plain(fields, new TowerFamily.Clip(), "quick_gelu", 1e-5);
      }
      case SIGLIP -> {
        fields.only("attention_dropout", 0);
        var family = new TowerFamily.Siglip(fields.flag("vision_use_head", true));
        yield plain(fields, family, "gelu_pytorch_tanh", 1e-6);
      }
      case DINO -> dino(fields);
      default ->
          throw fields.wrong("model_type", "known vision towers are " + String.join(", ", TYPES));
    };
  }

  private static TowerConfig plain(
      JsonFields fields, TowerFamily family, String activation, double eps) {
    return tower(fields, family, fields.count("intermediate_size", 1), activation, eps);
  }

  private static TowerConfig dino(JsonFields fields) {
    fields.only("attention_probs_dropout_prob", 0);
    fields.only("hidden_dropout_prob", 0);
    fields.only("drop_path_rate", 0);
    var family =
        new TowerFamily.Dinov2(
            fields.count("mlp_ratio", 1, WIDENING),
            fields.flag("use_swiglu_ffn", false),
            fields.flag("qkv_bias", true),
            fields.notNegative("layerscale_value", 1));
    int intermediate = family.intermediate(fields.count("hidden_size", 1));
    return tower(fields, family, intermediate, "gelu", 1e-6);
  }

  private static TowerConfig tower(
      JsonFields fields, TowerFamily family, int intermediate, String activation, double eps) {
    TowerConfig usual = TowerConfig.CLIP_LARGE_336;
    return new TowerConfig(
        family,
        fields.count("hidden_size", 1),
        intermediate,
        fields.count("num_hidden_layers", 1),
        fields.count("num_attention_heads", 1),
        fields.count("num_channels", 1, usual.channels()),
        fields.count("image_size", 1),
        fields.count("patch_size", 1),
        activation(fields, activation),
        fields.positive("layer_norm_eps", eps),
        fields.notNegative("initializer_range", usual.initializerRange()));
  }

  private static Activation activation(JsonFields fields, String ifAbsent) {
    return switch (fields.text("hidden_act", ifAbsent)) {
      case "quick_gelu" -> Activation.QUICK_GELU;
      case "gelu" -> Activation.GELU;
      case "gelu_new", "gelu_pytorch_tanh" -> Activation.GELU_TANH;
      case "silu", "swish" -> Activation.SILU;
      case "relu" -> Activation.RELU;
      default ->
          throw fields.wrong(
              "hidden_act", "known are quick_gelu, gelu, gelu_new, gelu_pytorch_tanh, silu, relu");
    };
  }

  static ObjectNode write(TowerConfig tower) {
    ObjectNode json =
        JsonNodeFactory.instance
            .objectNode()
            .put("hidden_act", name(tower.activation()))
            .put("hidden_size", tower.hidden())
            .put("image_size", tower.imageSize())
            .put("initializer_range", tower.initializerRange())
            .put("layer_norm_eps", tower.normEps())
            .put("model_type", tower.modelType())
            .put("num_attention_heads", tower.heads())
            .put("num_channels", tower.channels())
            .put("num_hidden_layers", tower.layers())
            .put("patch_size", tower.patchSize());
    switch (tower.family()) {
      case TowerFamily.Clip() -> json.put("intermediate_size", tower.intermediate());
      case TowerFamily.Siglip(boolean head) -> {
        json.put("intermediate_size", tower.intermediate());
        if (!head) {
          json.put("vision_use_head", false);
        }
      }
      case TowerFamily.Dinov2 dino ->
          json.put("mlp_ratio", dino.widening())
              .put("use_swiglu_ffn", dino.gated())
              .put("qkv_bias", dino.queryBias())
              .put("layerscale_value", dino.startScale());
    }
    return json;
  }

  private static String name(Activation activation) {
    return switch (activation) {
      case QUICK_GELU -> "quick_gelu";
      case GELU -> "gelu";
      case GELU_TANH -> "gelu_pytorch_tanh";
      case SILU -> "silu";
      case RELU -> "relu";
      case HARD_SIGMOID, HARD_SWISH ->
          throw new ConfigException("hidden_act", activation, "no published tower has it");
    };
  }
}
