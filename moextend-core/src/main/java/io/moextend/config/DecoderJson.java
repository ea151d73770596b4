package io.moextend.config;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** A decoder's fields in a config.json: mixtral (plain or MoExtend), llama and its mixtures. */
final class DecoderJson {
  static final String MIXTRAL = "mixtral";
  static final String LLAMA = "llama";

  private static final double LLAMA_THETA = 10_000;

  private DecoderJson() {}

  static DecoderConfig read(JsonFields fields) {
    String type = fields.text("model_type");
    refuseUnsupported(fields);
    int hidden = fields.count("hidden_size", 1);
    int vocab = fields.count("vocab_size", 1);
    boolean mixtral = type.equals(MIXTRAL);
    return new DecoderConfig(
        type,
        vocab,
        hidden,
        fields.count("num_hidden_layers", 1),
        heads(fields, hidden, mixtral),
        rope(fields, mixtral),
        mixtral ? fields.count("sliding_window", 1, 0) : 0,
        fields.positive("rms_norm_eps"),
        fields.notNegative("initializer_range", 0.02),
        fields.flag("tie_word_embeddings", false),
        feedForward(fields, type),
        tokens(fields),
        VisionJson.read(fields, vocab));
  }

  /** Options of these architectures that would change the numbers and are not built. */
  private static void refuseUnsupported(JsonFields fields) {
    if (!fields.text("hidden_act").equals("silu")) {
      throw fields.wrong("hidden_act", "only \"silu\" is supported");
    }
    fields.only("attention_dropout", 0);
    if (!MixtureJson.is(fields.text("model_type"))) {
      fields.only("router_jitter_noise", 0);
    }
    fields.only("partial_rotary_factor", 1);
    fields.off("attention_bias");
    fields.off("mlp_bias");
    fields.absent("rope_scaling", "only null is supported: positions are not rescaled");
    fields.absent("quantization_config", "quantized weights are not read; take the model in bf16");
  }

  private static DecoderConfig.Heads heads(JsonFields fields, int hidden, boolean mixtral) {
    int query = fields.count("num_attention_heads", 1);
    if (!fields.has("head_dim") && hidden % query != 0) {
      throw fields.wrong(
          "num_attention_heads", "must divide hidden_size=" + hidden + ", or give head_dim");
    }
    // the first Llamas left it out: every query head has its own keys
    int keyValue =
        mixtral
            ? fields.count("num_key_value_heads", 1)
            : fields.count("num_key_value_heads", 1, query);
    return new DecoderConfig.Heads(query, keyValue, fields.count("head_dim", 1, hidden / query));
  }

  /** Newer files keep theta in {@code rope_parameters}. */
  private static DecoderConfig.Rope rope(JsonFields fields, boolean mixtral) {
    int positions = fields.count("max_position_embeddings", 1);
    if (fields.has("rope_parameters")) {
      JsonFields rope = fields.object("rope_parameters");
      if (!rope.text("rope_type", "default").equals("default")) {
        throw rope.wrong("rope_type", "only \"default\" is supported: positions are not rescaled");
      }
      rope.only("partial_rotary_factor", 1);
      return new DecoderConfig.Rope(rope.positive("rope_theta"), positions);
    }
    double theta =
        mixtral ? fields.positive("rope_theta") : fields.positive("rope_theta", LLAMA_THETA);
    return new DecoderConfig.Rope(theta, positions);
  }

  private static FeedForwardConfig feedForward(JsonFields fields, String type) {
    if (MixtureJson.is(type)) {
      return MixtureJson.read(fields, type, fields.count("num_hidden_layers", 1));
    }
    return type.equals(MIXTRAL)
        ? experts(fields)
        : new FeedForwardConfig.Dense(fields.count("intermediate_size", 1));
  }

  /** An extended model counts the new expert in num_local_experts, also where layers lack it. */
  private static FeedForwardConfig.Experts experts(JsonFields fields) {
    var extended = fields.indices("add_layer");
    int stored = fields.count("num_local_experts", extended.isEmpty() ? 1 : 2);
    return new FeedForwardConfig.Experts(
        fields.count("intermediate_size", 1),
        extended.isEmpty() ? stored : stored - 1,
        fields.count("num_experts_per_tok", 1),
        extended,
        fields.notNegative("router_aux_loss_coef", 0.001));
  }

  /** Absent ids are those of Hugging Face's own Mixtral and Llama; MoExtend pads with eos. */
  private static DecoderConfig.SpecialTokens tokens(JsonFields fields) {
    int eos = fields.count("eos_token_id", 0, 2);
    return new DecoderConfig.SpecialTokens(
        fields.count("bos_token_id", 0, 1), eos, fields.count("pad_token_id", 0, eos));
  }

  static ObjectNode write(DecoderConfig config) {
    ObjectNode json =
        JsonNodeFactory.instance
            .objectNode()
            .put("bos_token_id", config.tokens().bos())
            .put("eos_token_id", config.tokens().eos())
            .put("head_dim", config.heads().size())
            .put("hidden_act", "silu")
            .put("hidden_size", config.hidden())
            .put("initializer_range", config.initializerRange())
            .put("intermediate_size", config.feedForward().width())
            .put("max_position_embeddings", config.rope().maxPositions())
            .put("model_type", config.modelType())
            .put("num_attention_heads", config.heads().query())
            .put("num_hidden_layers", config.layers())
            .put("num_key_value_heads", config.heads().keyValue())
            .put("pad_token_id", config.tokens().pad())
            .put("rms_norm_eps", config.normEps())
            .put("rope_theta", config.rope().theta())
            .put("tie_word_embeddings", config.tiedHead())
            .put("vocab_size", config.vocab());
    if (config.window() > 0) {
      json.put("sliding_window", config.window());
    }
    switch (config.feedForward()) {
      case FeedForwardConfig.Dense _ -> {}
      case FeedForwardConfig.Experts experts -> writeExperts(experts, json);
      case FeedForwardConfig.Mixed mixed -> MixtureJson.write(mixed, config.layers(), json);
    }
    if (config.vision() != null) {
      VisionJson.write(config.vision(), json);
    }
    return json;
  }

  private static void writeExperts(FeedForwardConfig.Experts experts, ObjectNode json) {
    boolean extended = !experts.extendedLayers().isEmpty();
    json.put("num_local_experts", experts.count() + (extended ? 1 : 0));
    json.put("num_experts_per_tok", experts.topK());
    json.put("router_aux_loss_coef", experts.balanceCoefficient());
    if (extended) {
      var layers = json.putArray("add_layer");
      experts.extendedLayers().forEach(layers::add);
    }
  }
}
