package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterMethod;
import io.moextend.adapter.StoredAdapter;
import io.moextend.config.ConfigException;
import io.moextend.config.ModelConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What is added to a frozen model.
 *
 * @param method which adapters; full adds none and trains the model itself
 * @param experts of a mixture, at each site
 * @param rank of LoRA's products
 * @param alpha a product counts alpha / rank times; the published code has 16 always
 * @param topK experts that count; null = all, by their probabilities
 * @param jitterNoise half the width of the noise that a router's input is multiplied by
 * @param loadBalancingLossCoef weight of a loss that spreads tokens over experts; the published
 *     runs have none
 * @param routerZLossCoef weight of a loss that keeps routers' logits small; the published runs have
 *     none
 * @param targetModules layers that get one: names, endings of names, "attention" or "all-linear";
 *     null = those of the method
 */
public record AdapterSection(
    Method method,
    int experts,
    int rank,
    double alpha,
    @Nullable Integer topK,
    double jitterNoise,
    double loadBalancingLossCoef,
    double routerZLossCoef,
    @Nullable List<String> targetModules) {
  private static final List<String> IDENTITY =
      List.of(
          "adapter.method",
          "adapter.experts",
          "adapter.rank",
          "adapter.alpha",
          "adapter.top_k",
          "adapter.jitter_noise",
          "adapter.load_balancing_loss_coef",
          "adapter.router_z_loss_coef",
          "adapter.target_modules");

  /** Paths of fields of other sections, of all in this one, and of all in the optimizer's. */
  static List<String> identityWith(String... others) {
    return Stream.of(IDENTITY, List.of(others), OptimizerSection.IDENTITY)
        .flatMap(List::stream)
        .toList();
  }

  /** Ways to adapt a model. */
  public enum Method {
    /** No adapters: the stage says what trains. */
    @JsonProperty("none")
    NONE,
    /** Vectors that rescale keys, values and hidden states. */
    @JsonProperty("ia3")
    IA3,
    /** Products of low rank, added. */
    @JsonProperty("lora")
    LORA,
    /** A mixture of vectors at each site. */
    @JsonProperty("mov")
    MOV,
    /** A mixture of products at each site. */
    @JsonProperty("molora")
    MOLORA,
    /** Every weight of the model. */
    @JsonProperty("full")
    FULL;

    /** As it is typed. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }

    /** True where there are routers. */
    public boolean routes() {
      return this == MOV || this == MOLORA;
    }

    /** True where parameters are added. */
    public boolean adds() {
      return this != NONE && this != FULL;
    }
  }

  public AdapterSection {
    Section.requireAtLeast("adapter.experts", experts, 1);
    Section.requireAtLeast("adapter.rank", rank, 1);
    Section.requireAbove("adapter.alpha", alpha, 0);
    if (topK != null) {
      Section.requireAtLeast("adapter.top_k", topK, 1);
      if (topK > experts) {
        throw new ConfigException("adapter.top_k", topK, "there are %d experts".formatted(experts));
      }
      requireRouters("adapter.top_k", topK, method);
    }
    Section.requireWithin("adapter.jitter_noise", jitterNoise, 0, 0.999);
    Section.requireWithin("adapter.load_balancing_loss_coef", loadBalancingLossCoef, 0, 1e6);
    Section.requireWithin("adapter.router_z_loss_coef", routerZLossCoef, 0, 1e6);
    requireUnset("adapter.jitter_noise", jitterNoise, method);
    requireUnset("adapter.load_balancing_loss_coef", loadBalancingLossCoef, method);
    requireUnset("adapter.router_z_loss_coef", routerZLossCoef, method);
    if (targetModules != null) {
      targetModules = List.copyOf(targetModules);
      if (targetModules.isEmpty()) {
        throw new ConfigException(
            "adapter.target_modules", "[]", "name at least one, or write null for the usual ones");
      }
      if (!method.adds()) {
        throw new ConfigException(
            "adapter.target_modules",
            targetModules,
            "%s adds nothing; write null".formatted(method.word()));
      }
    }
  }

  /** No adapters. */
  public static AdapterSection none() {
    return new AdapterSection(Method.NONE, 10, 4, 16, null, 0, 0, 0, null);
  }

  /**
   * The same in the model's terms.
   *
   * @return null where nothing is added
   */
  public @Nullable AdapterConfig config() {
    AdapterMethod added =
        switch (method) {
          case NONE, FULL -> null;
          case IA3 -> AdapterMethod.IA3;
          case LORA -> AdapterMethod.LORA;
          case MOV -> AdapterMethod.MOV;
          case MOLORA -> AdapterMethod.MOLORA;
        };
    if (added == null) {
      return null;
    }
    AdapterConfig plain = AdapterConfig.of(added, experts, rank);
    return new AdapterConfig(
        added,
        plain.experts(),
        plain.rank(),
        alpha,
        topK == null ? 0 : topK,
        jitterNoise,
        loadBalancingLossCoef,
        routerZLossCoef,
        targetModules == null ? plain.sites() : targetModules,
        plain.initializerRange());
  }

  /**
   * That adapters to go on from are those that this asks for.
   *
   * @param field that names their folder
   * @param model that they were made for
   * @throws ConfigException where they are of another kind
   */
  @SuppressWarnings("MustBeClosedChecker") // closed at once
  void requireSame(String field, Path folder, ModelConfig model) {
    AdapterConfig asked = config();
    StoredAdapter stored = StoredAdapter.open(folder, model);
    stored.weights().close();
    AdapterConfig there = stored.config();
    String held =
        "holds %s with %d experts, rank %d, alpha %s; the run asks for "
            .formatted(there.method().word(), there.experts(), there.rank(), there.alpha());
    if (asked == null) {
      throw new ConfigException(
          field, folder, held + "adapter.method=%s; make them the same".formatted(method.word()));
    }
    boolean same =
        there.method() == asked.method()
            && there.experts() == asked.experts()
            && there.rank() == asked.rank()
            && there.alpha() == asked.alpha();
    if (!same) {
      throw new ConfigException(
          field,
          folder,
          held
              + "%s with %d, %d, %s"
                  .formatted(asked.method().word(), asked.experts(), asked.rank(), asked.alpha()));
    }
  }

  private static void requireUnset(String field, double value, Method method) {
    if (value != 0) {
      requireRouters(field, value, method);
    }
  }

  private static void requireRouters(String field, Object value, Method method) {
    if (!method.routes()) {
      throw new ConfigException(
          field, value, "is for mov and molora; %s has no routers".formatted(method.word()));
    }
  }
}
