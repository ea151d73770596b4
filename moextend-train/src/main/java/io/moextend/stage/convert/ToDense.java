package io.moextend.stage.convert;

import io.moextend.config.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** A mixture with one expert of each layer kept as its only network; the routers go. */
public final class ToDense {
  private static final Set<String> ROUTERS = Set.of("gate.weight", "gate_vis.weight");

  private ToDense() {}

  /**
   * @param expert which to keep: its number in a MoIIE or vanilla model (null: 1, as published),
   *     {@code vision} or {@code text} in a modality model (null: text), {@code vision.0}, {@code
   *     text.1} … in a routed one (null: text.0)
   * @throws ConfigException where the model is dense already or has no such expert
   * @throws io.moextend.checkpoint.CheckpointException where a layer's experts are missing or of
   *     another size
   */
  public static Conversion of(SourceModel source, @Nullable String expert) {
    SequencedMap<String, String> experts = experts(source);
    String kept = kept(source, experts, expert) + ".";
    SortedSet<Integer> mixed = MixtureFields.layers(source);
    List<String> weights = source.type().family().weights();
    var from = new TreeMap<String, String>();
    source.weights().names().forEach(name -> from.put(name, name));
    for (int layer = 0; layer < source.layers(); layer++) {
      if (!mixed.contains(layer)) {
        source.requireBelow(layer, weights, Set.of());
        continue;
      }
      var wanted = new TreeSet<String>();
      experts.values().forEach(e -> weights.forEach(weight -> wanted.add(e + "." + weight)));
      source.requireBelow(layer, wanted, ROUTERS);
      source.requireShapes(layer, kept);
      for (String below : wanted) {
        from.remove(SourceModel.tensor(layer, below));
      }
      for (String router : ROUTERS) {
        from.remove(SourceModel.tensor(layer, router));
      }
      for (String weight : weights) {
        from.put(SourceModel.tensor(layer, weight), SourceModel.tensor(layer, kept + weight));
      }
    }
    PublishedType type = source.type().as(Architecture.DENSE);
    return new Conversion(
        source, type, MixtureFields.without(source, type), mixed, from, List.of());
  }

  /** What an expert is called here to the name it has under a layer's mlp; the default first. */
  private static SequencedMap<String, String> experts(SourceModel source) {
    var experts = new LinkedHashMap<String, String>();
    switch (source.type().architecture()) {
      case DENSE ->
          throw new ConfigException(
              source.file() + ": model_type",
              source.type().modelType(),
              "is dense already; there is nothing to convert");
      case MOIIE, VANILLA_MOE -> {
        int count = source.count("num_experts", 4);
        for (int i = 0; i < count; i++) {
          experts.put(Integer.toString(i), "experts." + i);
        }
      }
      case MODALITY_MOE -> {
        experts.put("text", Mixture.Modality.TEXT);
        experts.put("vision", Mixture.Modality.VISION);
      }
      case ROUTED_MODALITY_MOE -> {
        number(experts, "text", Mixture.Routed.TEXT, source.count("num_lan_experts", 4));
        number(experts, "vision", Mixture.Routed.VISION, source.count("num_vis_experts", 4));
      }
    }
    return experts;
  }

  private static void number(
      SequencedMap<String, String> experts, String called, String list, int count) {
    for (int i = 0; i < count; i++) {
      experts.put(called + "." + i, list + "." + i);
    }
  }

  private static String kept(
      SourceModel source, SequencedMap<String, String> experts, @Nullable String expert) {
    String wanted =
        expert != null
            ? expert
            : switch (source.type().architecture()) {
              case DENSE, MODALITY_MOE -> "text";
              case MOIIE, VANILLA_MOE -> "1";
              case ROUTED_MODALITY_MOE -> "text.0";
            };
    String kept = experts.get(wanted);
    if (kept == null) {
      throw new ConfigException(
          "--expert",
          wanted,
          "a %s of this config has %s".formatted(source.type().modelType(), experts.keySet()));
    }
    return kept;
  }
}
