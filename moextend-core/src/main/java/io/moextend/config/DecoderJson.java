package io.moextend.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.config.DecoderType.Family;
import java.util.List;

/** A decoder's fields in a config.json. */
final class DecoderJson {
  private static final int PHI3_END = 32_000;
  private static final int MISTRAL_WINDOW = 4096;

  private DecoderJson() {}

  static DecoderConfig read(JsonFields fields, DecoderType type) {
    Family family = type.family();
    refuseUnsupported(fields, type);
    int hidden = fields.count("hidden_size", 1);
    int vocab = fields.count("vocab_size", 1);
    DecoderConfig.Heads heads = heads(fields, hidden, family);
    return new DecoderConfig(
        type.modelType(),
        vocab,
        hidden,
        fields.count("num_hidden_layers", 1),
        heads,
        RopeJson.read(fields, family, heads.size() / 2),
        family.keysIn(window(fields, family)),
        fields.positive("rms_norm_eps"),
        fields.notNegative("initializer_range", 0.02),
        fields.flag("tie_word_embeddings", false),
        feedForward(fields, type),
        tokens(fields, family, vocab),
        VisionJson.read(fields, vocab));
  }

  /** Options of these architectures that would change the numbers and are not built. */
  private static void refuseUnsupported(JsonFields fields, DecoderType type) {
    Family family = type.family();
    if (!fields.text("hidden_act").equals("silu")) {
      throw fields.wrong("hidden_act", "only \"silu\" is supported");
    }
    for (String dropout : List.of("attention_dropout", "embd_pdrop", "resid_pdrop")) {
      fields.only(dropout, 0);
    }
    if (!type.mixed()) {
      fields.only("router_jitter_noise", 0);
    }
    fields.only("partial_rotary_factor", 1);
    for (String option : List.of("attention_bias", "mlp_bias", "use_mrope")) {
      fields.off(option);
    }
    if (family == Family.QWEN2) {
      fields.off("use_sliding_window");
    }
    if (family == Family.MIXTRAL) {
      fields.absent("rope_scaling", "only null is supported: positions are not rescaled");
    }
    if (fields.json().path("layer_types").valueStream().anyMatch(DecoderJson::isPartial)) {
      throw fields.wrong("layer_types", "all layers must be \"full_attention\"");
    }
    fields.absent("quantization_config", "quantized weights are not read; take the model in bf16");
  }

  private static boolean isPartial(JsonNode layer) {
    return !layer.asText().equals("full_attention");
  }

  private static DecoderConfig.Heads heads(JsonFields fields, int hidden, Family family) {
    int query = fields.count("num_attention_heads", 1);
    if (!fields.has("head_dim") && hidden % query != 0) {
      throw fields.wrong(
          "num_attention_heads", "must divide hidden_size=" + hidden + ", or give head_dim");
    }
    int keyValue =
        switch (family) {
          case MIXTRAL, MISTRAL, QWEN2 -> fields.count("num_key_value_heads", 1);
          // the first Llamas left it out: every query head has its own keys
          case LLAMA, PHI3 -> fields.count("num_key_value_heads", 1, query);
        };
    return new DecoderConfig.Heads(query, keyValue, fields.count("head_dim", 1, hidden / query));
  }

  private static int window(JsonFields fields, Family family) {
    return switch (family) {
      case LLAMA, QWEN2 -> 0; // not read by the original
      case MISTRAL ->
          fields.isNull("sliding_window") ? 0 : fields.count("sliding_window", 1, MISTRAL_WINDOW);
      case MIXTRAL, PHI3 -> fields.count("sliding_window", 1, 0);
    };
  }

  private static FeedForwardConfig feedForward(JsonFields fields, DecoderType type) {
    if (type.mixed()) {
      return MixtureJson.read(fields, type, fields.count("num_hidden_layers", 1));
    }
    return type.family() == Family.MIXTRAL
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

  /** Absent ids are those of Hugging Face's own configs. */
  private static DecoderConfig.SpecialTokens tokens(JsonFields fields, Family family, int vocab) {
    List<Integer> ends = fields.ids("eos_token_id");
    int eos = !ends.isEmpty() ? ends.getFirst() : family == Family.PHI3 ? PHI3_END : 2;
    boolean usual = family == Family.PHI3 && !fields.isNull("pad_token_id") && PHI3_END < vocab;
    Integer pad =
        fields.has("pad_token_id")
            ? Integer.valueOf(fields.count("pad_token_id", 0))
            : usual ? PHI3_END : null;
    return new DecoderConfig.SpecialTokens(
        fields.count("bos_token_id", 0, 1), eos, pad, ends.stream().skip(1).toList());
  }

  static ObjectNode write(DecoderConfig config) {
    ObjectNode json =
        JsonNodeFactory.instance
            .objectNode()
            .put("bos_token_id", config.tokens().bos())
            .put("head_dim", config.heads().size())
            .put("hidden_act", "silu")
            .put("hidden_size", config.hidden())
            .put("initializer_range", config.initializerRange())
            .put("intermediate_size", config.feedForward().width())
            .put("model_type", config.modelType())
            .put("num_attention_heads", config.heads().query())
            .put("num_hidden_layers", config.layers())
            .put("num_key_value_heads", config.heads().keyValue())
            .put("rms_norm_eps", config.normEps())
            .put("tie_word_embeddings", config.tiedHead())
            .put("vocab_size", config.vocab());
    writeTokens(config.tokens(), json);
    RopeJson.write(config.rope(), json);
    writeWindow(config, json);
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

  private static void writeTokens(DecoderConfig.SpecialTokens tokens, ObjectNode json) {
    if (tokens.otherEnds().isEmpty()) {
      json.put("eos_token_id", tokens.eos());
    } else {
      var ends = json.putArray("eos_token_id").add(tokens.eos());
      tokens.otherEnds().forEach(ends::add);
    }
    if (tokens.pad() != null) {
      json.put("pad_token_id", tokens.pad());
    }
  }

  private static void writeWindow(DecoderConfig config, ObjectNode json) {
    Family family = config.type().family();
    if (config.window() > 0) {
      json.put("sliding_window", family.windowOf(config.window()));
    } else if (family == Family.MISTRAL) {
      // left out, it would be 4096
      json.putNull("sliding_window");
    }
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
