package io.moextend.stage.convert;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.config.ConfigException;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;

/** The fields of config.json that speak of experts, whichever mixture they are of. */
final class MixtureFields {
  /** Ours: the layers with experts, where they are not the odd ones. */
  static final String LAYERS = "moe_layers";

  private static final List<String> ALL =
      List.of(
          "num_experts",
          "num_vis_experts",
          "num_lan_experts",
          "num_experts_per_tok",
          "router_aux_loss_coef",
          "vis_router_aux_loss_coef",
          "lan_router_aux_loss_coef",
          "output_router_logits",
          "output_vis_router_logits",
          "output_lan_router_logits",
          "router_jitter_noise",
          LAYERS);

  private MixtureFields() {}

  /** The source's config, every field with it, as one of another type without experts. */
  static ObjectNode without(SourceModel source, PublishedType type) {
    ObjectNode config = source.config();
    ALL.forEach(config::remove);
    config.put("model_type", type.modelType());
    if (config.get("architectures") instanceof ArrayNode classes && !classes.isEmpty()) {
      classes.set(0, type.className());
    } else {
      config.putArray("architectures").add(type.className());
    }
    return config;
  }

  /** Writes the layers where nothing else says which they are. */
  static void setLayers(ObjectNode config, SortedSet<Integer> chosen, int layers) {
    if (!chosen.equals(LayerChoice.odd(layers))) {
      ArrayNode list = config.putArray(LAYERS);
      chosen.forEach(list::add);
    }
  }

  /**
   * @throws ConfigException where the list names no layers of this model
   */
  static SortedSet<Integer> layers(SourceModel source) {
    JsonNode list = source.field(LAYERS);
    if (list.isMissingNode()) {
      return LayerChoice.odd(source.layers());
    }
    var chosen = new TreeSet<Integer>();
    for (JsonNode layer : list) {
      if (layer.isInt() && layer.intValue() >= 0 && layer.intValue() < source.layers()) {
        chosen.add(layer.intValue());
      }
    }
    if (!list.isArray() || list.size() != chosen.size()) {
      throw new ConfigException(
          source.file() + ": " + LAYERS,
          list,
          "write a list of layers between 0 and " + (source.layers() - 1) + ", each once");
    }
    return chosen;
  }
}
