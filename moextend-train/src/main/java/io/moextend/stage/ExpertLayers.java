package io.moextend.stage;

import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import io.moextend.moe.TokenGroup;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The layers of a model that have experts, and what these are for.
 *
 * @param scheme how tokens come to experts: mixtral, moextend, moiie, vanilla, modality or
 *     routed-modality
 * @param topK experts a token visits
 * @param groups of each such layer, by its index; together they have all its experts, in order
 */
public record ExpertLayers(String scheme, int topK, SortedMap<Integer, List<ExpertGroup>> groups) {
  public ExpertLayers {
    groups = Collections.unmodifiableSortedMap(new TreeMap<>(groups));
  }

  /**
   * @throws ConfigException where the model has no experts
   */
  public static ExpertLayers of(DecoderConfig config) {
    return switch (config.feedForward()) {
      case FeedForwardConfig.Dense _ -> throw dense(config);
      case FeedForwardConfig.Experts e -> of(config, e);
      case FeedForwardConfig.Mixed m -> of(m);
    };
  }

  static ConfigException dense(DecoderConfig config) {
    return new ConfigException(
        "model_type",
        config.modelType(),
        "a mixture of experts is wanted; a dense model routes nothing");
  }

  private static ExpertLayers of(DecoderConfig config, FeedForwardConfig.Experts experts) {
    var groups = new TreeMap<Integer, List<ExpertGroup>>();
    for (int layer = 0; layer < config.layers(); layer++) {
      var own = new ArrayList<ExpertGroup>();
      own.add(new ExpertGroup("pretrained", 0, experts.count(), TokenGroup.ALL));
      if (experts.extendedLayers().contains(layer)) {
        own.add(new ExpertGroup("added", experts.count(), 1, TokenGroup.ALL));
      }
      groups.put(layer, List.copyOf(own));
    }
    String scheme = experts.extendedLayers().isEmpty() ? "mixtral" : "moextend";
    return new ExpertLayers(scheme, experts.topK(), groups);
  }

  private static ExpertLayers of(FeedForwardConfig.Mixed mixed) {
    List<ExpertGroup> own = groups(mixed.scheme());
    var groups = new TreeMap<Integer, List<ExpertGroup>>();
    mixed.layers().forEach(layer -> groups.put(layer, own));
    return new ExpertLayers(name(mixed.scheme()), mixed.scheme().topK(), groups);
  }

  private static String name(Scheme scheme) {
    return switch (scheme) {
      case Scheme.Moiie _ -> "moiie";
      case Scheme.Vanilla _ -> "vanilla";
      case Scheme.Modality() -> "modality";
      case Scheme.RoutedModality _ -> "routed-modality";
    };
  }

  private static List<ExpertGroup> groups(Scheme scheme) {
    return switch (scheme) {
      case Scheme.Moiie m ->
          List.of(
              new ExpertGroup("vision-intra", 0, m.textOffset(), TokenGroup.VISION),
              new ExpertGroup("inter", m.textOffset(), m.experts() / 2, TokenGroup.ALL),
              new ExpertGroup("text-intra", m.reachable(), m.textOffset(), TokenGroup.TEXT));
      case Scheme.Vanilla v -> List.of(new ExpertGroup("experts", 0, v.experts(), TokenGroup.ALL));
      case Scheme.Modality() -> pools(1, 1);
      case Scheme.RoutedModality r -> pools(r.vision(), r.text());
    };
  }

  private static List<ExpertGroup> pools(int vision, int text) {
    return List.of(
        new ExpertGroup("vision", 0, vision, TokenGroup.VISION),
        new ExpertGroup("text", vision, text, TokenGroup.TEXT));
  }

  /** How many experts each layer has. */
  public SortedMap<Integer, Integer> experts() {
    var experts = new TreeMap<Integer, Integer>();
    groups.forEach((layer, own) -> experts.put(layer, own.getLast().end()));
    return experts;
  }
}
