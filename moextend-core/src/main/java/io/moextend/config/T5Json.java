package io.moextend.config;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.backend.Activation;
import org.jspecify.annotations.Nullable;

/** A T5's fields in a config.json. What Hugging Face leaves out has the value of its own class. */
final class T5Json {
  private static final String GATED = "gated-";
  private static final String PROJECTION = "feed_forward_proj";
  private static final String TIED = "tie_word_embeddings";
  private static final String SCALED = "scale_decoder_outputs";

  private T5Json() {}

  static T5Config read(JsonFields fields) {
    if (!fields.flag("is_encoder_decoder", true)) {
      throw fields.wrong("is_encoder_decoder", "only a whole T5 is supported");
    }
    fields.absent("quantization_config", "quantized weights are not read; take the model in bf16");
    int encoder = fields.count("num_layers", 1);
    boolean tied = fields.flag(TIED, true);
    boolean gated = fields.text(PROJECTION, "relu").startsWith(GATED);
    return new T5Config(
        fields.count("vocab_size", 1),
        fields.count("d_model", 1),
        fields.count("d_kv", 1, 64),
        fields.count("num_heads", 1),
        fields.count("d_ff", 1),
        encoder,
        fields.count("num_decoder_layers", 1, encoder),
        fields.count("relative_attention_num_buckets", 1, 32),
        fields.count("relative_attention_max_distance", 1, 128),
        fields.positive("layer_norm_epsilon", 1e-6),
        activation(fields, gated),
        gated,
        tied,
        // transformers 5 writes "tied" of every T5, and what that once meant here
        fields.flag(SCALED, tied),
        new T5Config.SpecialTokens(
            fields.count("pad_token_id", 0, T5Config.SpecialTokens.USUAL.pad()),
            fields.count("eos_token_id", 0, T5Config.SpecialTokens.USUAL.eos()),
            fields.count("decoder_start_token_id", 0, T5Config.SpecialTokens.USUAL.start())));
  }

  /** "gated-gelu" means the one by tanh, "gelu" the other. */
  private static Activation activation(JsonFields fields, boolean gated) {
    String projection = fields.text(PROJECTION, "relu");
    String name = gated ? projection.substring(GATED.length()) : projection;
    Activation activation = gated && name.equals("gelu") ? Activation.GELU_TANH : named(name);
    if (activation == null) {
      throw fields.wrong(PROJECTION, "known are relu, gelu, gelu_new, silu, each also gated-…");
    }
    String again = fields.text("dense_act_fn", name);
    if (!again.equals(name) && named(again) != activation) {
      throw fields.wrong("dense_act_fn", "contradicts feed_forward_proj=" + projection);
    }
    return activation;
  }

  private static @Nullable Activation named(String name) {
    return switch (name) {
      case "relu" -> Activation.RELU;
      case "gelu" -> Activation.GELU;
      case "gelu_new" -> Activation.GELU_TANH;
      case "silu" -> Activation.SILU;
      default -> null;
    };
  }

  static ObjectNode write(T5Config config) {
    ObjectNode json =
        JsonNodeFactory.instance
            .objectNode()
            .put("d_ff", config.width())
            .put("d_kv", config.headSize())
            .put("d_model", config.hidden())
            .put("decoder_start_token_id", config.tokens().start())
            .put("eos_token_id", config.tokens().eos())
            .put(PROJECTION, projection(config))
            .put("is_encoder_decoder", true)
            .put("layer_norm_epsilon", config.normEps())
            .put("model_type", T5Config.TYPE)
            .put("num_decoder_layers", config.decoderLayers())
            .put("num_heads", config.heads())
            .put("num_layers", config.encoderLayers())
            .put("pad_token_id", config.tokens().pad())
            .put("relative_attention_max_distance", config.maxDistance())
            .put("relative_attention_num_buckets", config.buckets())
            .put(TIED, config.tiedHead())
            .put("vocab_size", config.vocab());
    if (config.scaledHead() != config.tiedHead()) {
      json.put(SCALED, config.scaledHead());
    }
    return json;
  }

  private static String projection(T5Config config) {
    boolean gated = config.gated();
    String name =
        switch (config.activation()) {
          case RELU -> "relu";
          case SILU -> "silu";
          case GELU -> "gelu";
          case GELU_TANH -> gated ? "gelu" : "gelu_new";
          case QUICK_GELU, HARD_SIGMOID, HARD_SWISH ->
              throw new ConfigException(PROJECTION, config.activation(), "no published T5 has it");
        };
    return gated ? GATED + name : name;
  }
}
