package io.moextend.adapter;

import io.moextend.config.ConfigException;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Which layers have an adapter, named as PEFT's users do: the end of a module's name ("q_proj",
 * "0.self_attn.q_proj") or all of it; or one of the words {@link #ORIGINAL}, {@link #ATTENTION},
 * {@link #ALL_LINEAR}. Of methods that multiply, words mean those of the layers that can be
 * multiplied.
 */
final class Targets {
  /** Where the method's authors have them: all but a feed-forward network's linear gate. */
  static final String ORIGINAL = "original";

  /** All products of attentions. */
  static final String ATTENTION = "attention";

  /** Every layer that a model offers; that is never the head. */
  static final String ALL_LINEAR = "all-linear";

  static final Set<String> WORDS = Set.of(ORIGINAL, ATTENTION, ALL_LINEAR);

  private static final Set<String> OF_ATTENTION =
      Set.of("q", "k", "v", "o", "q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj");

  /** Whose product, or of feed-forward networks hidden state, can be multiplied. */
  private static final Set<String> RESCALED =
      Set.of("k", "v", "k_proj", "v_proj", "qkv_proj", "wi_0", "wi", "down_proj");

  private static final Set<String> FEED_FORWARD = Set.of("wi_0", "wi", "down_proj");

  private final AdapterConfig config;
  private final Set<String> unused;
  private final Set<String> seen = new TreeSet<>();

  Targets(AdapterConfig config) {
    this.config = config;
    this.unused = new TreeSet<>(config.sites());
  }

  /** True where the hidden state of a network is multiplied, which has no heads. */
  static boolean inFeedForward(String module) {
    return FEED_FORWARD.contains(last(module));
  }

  /** The end of a module's name. */
  static String last(String module) {
    return module.substring(module.lastIndexOf('.') + 1);
  }

  boolean has(String module) {
    seen.add(last(module));
    List<String> matching = config.sites().stream().filter(s -> matches(s, module)).toList();
    matching.forEach(unused::remove);
    return !matching.isEmpty();
  }

  private boolean matches(String site, String module) {
    String last = last(module);
    boolean possible = config.method().isAdditive() || RESCALED.contains(last);
    return switch (site) {
      case ORIGINAL ->
          config.method().isAdditive()
              ? !last.equals("wi_1")
              : possible && !last.equals("qkv_proj");
      case ATTENTION -> possible && OF_ATTENTION.contains(last);
      case ALL_LINEAR -> possible;
      default -> {
        boolean named = module.equals(site) || module.endsWith("." + site);
        if (named && !possible) {
          throw new ConfigException(
              "adapter.target_modules",
              site,
              "%s multiplies and can be had at %s"
                  .formatted(config.method().word(), new TreeSet<>(RESCALED)));
        }
        yield named;
      }
    };
  }

  /**
   * @throws ConfigException where a site was named that the model does not have
   */
  void requireAllFound() {
    if (!unused.isEmpty()) {
      throw new ConfigException(
          "adapter.target_modules", unused, "this model's layers are %s".formatted(seen));
    }
  }
}
