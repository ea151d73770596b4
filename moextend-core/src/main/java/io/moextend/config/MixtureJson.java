package io.moextend.config;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.SortedSet;

/**
 * What the config.json of a published model with {@link FeedForwardConfig.Mixed} layers says of its
 * experts. A loss whose {@code output_…_router_logits} is off is not trained with: its coefficient
 * is 0.
 */
final class MixtureJson {
  private static final String LAYERS = "moe_layers";
  private static final String TOP_K = "num_experts_per_tok";
  private static final String EXPERTS = "num_experts";
  private static final String VISION_EXPERTS = "num_vis_experts";
  private static final String TEXT_EXPERTS = "num_lan_experts";
  private static final String JITTER = "router_jitter_noise";
  private static final Loss ALL = new Loss("router_aux_loss_coef", "output_router_logits");
  private static final Loss VISION =
      new Loss("vis_router_aux_loss_coef", "output_vis_router_logits");
  private static final Loss TEXT = new Loss("lan_router_aux_loss_coef", "output_lan_router_logits");

  /** A load-balancing loss: its weight, and whether it is taken at all. */
  private record Loss(String coefficient, String taken) {
    double read(JsonFields fields, double coefficientIfAbsent, boolean takenIfAbsent) {
      double value = fields.notNegative(coefficient, coefficientIfAbsent);
      return fields.flag(taken, takenIfAbsent) ? value : 0;
    }

    void write(ObjectNode json, double value) {
      json.put(coefficient, value).put(taken, value > 0);
    }
  }

  private MixtureJson() {}

  static FeedForwardConfig.Mixed read(JsonFields fields, DecoderType type, int layers) {
    SortedSet<Integer> mixed =
        fields.has(LAYERS) ? fields.indices(LAYERS) : FeedForwardConfig.Mixed.oddLayers(layers);
    return new FeedForwardConfig.Mixed(
        fields.count("intermediate_size", 1), mixed, scheme(fields, type));
  }

  /** Absent fields are those of the published config classes. */
  private static Scheme scheme(JsonFields fields, DecoderType type) {
    return switch (type) {
      case MOIIE_PHI3, MOIIE_LLAMA ->
          new Scheme.Moiie(
              fields.count(EXPERTS, 1, 4),
              fields.count(TOP_K, 1, 2),
              VISION.read(fields, 0.001, true),
              TEXT.read(fields, 0.001, true),
              fields.notNegative(JITTER, 0));
      case VANILLA_PHI3, VANILLA_LLAMA ->
          new Scheme.Vanilla(
              fields.count(EXPERTS, 1, 4),
              fields.count(TOP_K, 1, 2),
              ALL.read(fields, 0.001, true),
              // the published Phi-3 of this scheme has no such noise, whatever the file says
              type == DecoderType.VANILLA_LLAMA ? fields.notNegative(JITTER, 0) : 0);
      case MODALITY_PHI3, MODALITY_LLAMA -> new Scheme.Modality();
      case ROUTED_PHI3 ->
          new Scheme.RoutedModality(
              fields.count(VISION_EXPERTS, 1, 4),
              fields.count(TEXT_EXPERTS, 1, 4),
              fields.count(TOP_K, 1, 2),
              VISION.read(fields, 0.02, false),
              TEXT.read(fields, 0.02, false));
      case MIXTRAL, LLAMA, MISTRAL, QWEN2, PHI3, BUNNY_PHI3, BUNNY_LLAMA ->
          throw new IllegalArgumentException(type + " has no mixed layers");
    };
  }

  /**
   * @param layers of the whole decoder
   */
  static void write(FeedForwardConfig.Mixed mixed, int layers, ObjectNode json) {
    if (!mixed.layers().equals(FeedForwardConfig.Mixed.oddLayers(layers))) {
      var list = json.putArray(LAYERS);
      mixed.layers().forEach(list::add);
    }
    switch (mixed.scheme()) {
      case Scheme.Moiie m -> {
        json.put(EXPERTS, m.experts()).put(TOP_K, m.topK()).put(JITTER, m.jitter());
        VISION.write(json, m.visionBalance());
        TEXT.write(json, m.textBalance());
      }
      case Scheme.Vanilla v -> {
        json.put(EXPERTS, v.experts()).put(TOP_K, v.topK()).put(JITTER, v.jitter());
        ALL.write(json, v.balance());
      }
      case Scheme.Modality() -> {}
      case Scheme.RoutedModality r -> {
        json.put(VISION_EXPERTS, r.vision()).put(TEXT_EXPERTS, r.text()).put(TOP_K, r.topK());
        VISION.write(json, r.visionBalance());
        TEXT.write(json, r.textBalance());
      }
    }
  }
}
