package io.moextend.adapter;

import io.moextend.config.ConfigException;
import java.util.List;

/**
 * What kind of adapters a model has, and where. A mixture's routing is soft unless {@code topK} is
 * set. The original's switch that would leave padding out of the routing has no effect there and
 * does not exist here; neither does routing by the sentence.
 *
 * @param experts vectors or pairs of matrices of a site; 1 of (IA)³ and LoRA
 * @param rank of LoRA's and MoLoRA's matrices; 0 of the others
 * @param alpha what is added is scaled by alpha / rank; the original's is always 16
 * @param topK how many shares are kept of each row, not divided by their sum; 0 = all. A mixture of
 *     vectors with a topK changes the model even before training: the shares that are left do not
 *     sum to 1
 * @param jitter half the width of the uniform noise that scales a router's input in a training
 *     pass; the original would draw it in evaluation too
 * @param balance coefficient of {@link RouterLoss}' load-balancing loss; the original has none
 * @param routerZ coefficient of its z-loss
 * @param sites which layers, see {@link Targets}
 * @param initializerRange standard deviation that routers and LoRA's A start with; to be given to
 *     who makes fresh parameters
 */
public record AdapterConfig(
    AdapterMethod method,
    int experts,
    int rank,
    double alpha,
    int topK,
    double jitter,
    double balance,
    double routerZ,
    List<String> sites,
    double initializerRange) {
  private static final double ALPHA = 16;
  private static final double RANGE = 0.02;

  public AdapterConfig {
    sites = List.copyOf(sites);
    String name = method.word();
    require(
        method.isRouted() ? experts >= 1 : experts == 1,
        "experts",
        experts,
        method.isRouted() ? "write a whole number of at least 1" : name + " has 1");
    require(
        method.isAdditive() ? rank >= 1 : rank == 0,
        "rank",
        rank,
        method.isAdditive() ? "write a whole number of at least 1" : name + " has none: 0");
    require(alpha > 0 && Double.isFinite(alpha), "alpha", alpha, "write a number above 0");
    require(
        topK >= 0 && topK <= (method.isRouted() ? experts : 0),
        "topK",
        topK,
        method.isRouted()
            ? "write 0 for soft routing, or up to the %d experts".formatted(experts)
            : name + " has no router: 0");
    require(jitter >= 0 && jitter < 1, "jitter", jitter, "write a number from 0 to below 1");
    require(
        balance >= 0 && Double.isFinite(balance), "balance", balance, "write 0 or a number above");
    require(
        routerZ >= 0 && Double.isFinite(routerZ), "routerZ", routerZ, "write 0 or a number above");
    require(
        initializerRange > 0 && Double.isFinite(initializerRange),
        "initializerRange",
        initializerRange,
        "write a number above 0");
    require(
        !sites.isEmpty() && sites.stream().noneMatch(String::isBlank),
        "sites",
        sites,
        "name some layers, such as [\"" + Targets.ORIGINAL + "\"]");
  }

  private static void require(boolean holds, String field, Object value, String mend) {
    if (!holds) {
      throw new ConfigException("adapter." + field, value, mend);
    }
  }

  public static AdapterConfig ia3() {
    return of(AdapterMethod.IA3, 1, 0);
  }

  public static AdapterConfig lora(int rank) {
    return of(AdapterMethod.LORA, 1, rank);
  }

  public static AdapterConfig mov(int experts) {
    return of(AdapterMethod.MOV, experts, 0);
  }

  public static AdapterConfig molora(int experts, int rank) {
    return of(AdapterMethod.MOLORA, experts, rank);
  }

  /**
   * As the original has it.
   *
   * @param experts passed over where the method has no router
   * @param rank passed over where the method has no matrices
   */
  public static AdapterConfig of(AdapterMethod method, int experts, int rank) {
    return new AdapterConfig(
        method,
        method.isRouted() ? experts : 1,
        method.isAdditive() ? rank : 0,
        ALPHA,
        0,
        0,
        0,
        0,
        List.of(Targets.ORIGINAL),
        RANGE);
  }

  /** The same at other sites. */
  public AdapterConfig at(List<String> other) {
    return new AdapterConfig(
        method, experts, rank, alpha, topK, jitter, balance, routerZ, other, initializerRange);
  }

  /** The same with so many shares kept of each row. */
  public AdapterConfig choosing(int k) {
    return new AdapterConfig(
        method, experts, rank, alpha, k, jitter, balance, routerZ, sites, initializerRange);
  }

  /** The same with another alpha. */
  public AdapterConfig scaledBy(double other) {
    return new AdapterConfig(
        method, experts, rank, other, topK, jitter, balance, routerZ, sites, initializerRange);
  }

  /** What a product of low rank is multiplied by. */
  double scale() {
    return alpha / rank;
  }
}
