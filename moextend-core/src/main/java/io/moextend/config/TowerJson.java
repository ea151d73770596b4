package io.moextend.config;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.backend.Activation;

/** A vision tower's fields in a config.json, its own or another's {@code vision_config}. */
final class TowerJson {
  static final String CLIP = "clip_vision_model";

  private TowerJson() {}

  /**
   * What Hugging Face leaves out of nested configs has the value of its CLIPVisionConfig:
   * quick_gelu, 3 channels, epsilon 1e-5, initializer range 0.02.
   */
  static TowerConfig read(JsonFields fields) {
    String type = fields.text("model_type", CLIP);
    if (!type.equals(CLIP)) {
      throw fields.wrong("model_type", "known vision towers are " + CLIP);
    }
    fields.only("attention_dropout", 0);
    TowerConfig widths = TowerConfig.CLIP_LARGE_336;
    return new TowerConfig(
        type,
        fields.count("hidden_size", 1),
        fields.count("intermediate_size", 1),
        fields.count("num_hidden_layers", 1),
        fields.count("num_attention_heads", 1),
        fields.count("num_channels", 1, widths.channels()),
        fields.count("image_size", 1),
        fields.count("patch_size", 1),
        activation(fields),
        fields.positive("layer_norm_eps", widths.normEps()),
        fields.notNegative("initializer_range", widths.initializerRange()));
  }

  private static Activation activation(JsonFields fields) {
    return switch (fields.text("hidden_act", "quick_gelu")) {
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
    return JsonNodeFactory.instance
        .objectNode()
        .put("hidden_act", name(tower.activation()))
        .put("hidden_size", tower.hidden())
        .put("image_size", tower.imageSize())
        .put("initializer_range", tower.initializerRange())
        .put("intermediate_size", tower.intermediate())
        .put("layer_norm_eps", tower.normEps())
        .put("model_type", tower.modelType())
        .put("num_attention_heads", tower.heads())
        .put("num_channels", tower.channels())
        .put("num_hidden_layers", tower.layers())
        .put("patch_size", tower.patchSize());
  }

  private static String name(Activation activation) {
    return switch (activation) {
      case QUICK_GELU -> "quick_gelu";
      case GELU -> "gelu";
      case GELU_TANH -> "gelu_pytorch_tanh";
      case SILU -> "silu";
      case RELU -> "relu";
    };
  }
}
