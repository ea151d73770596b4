package io.moextend.model;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import io.moextend.moe.ModalityRouter;
import io.moextend.moe.MoeLayer;
import io.moextend.moe.Router;
import io.moextend.moe.TopKRouter;
import io.moextend.moe.TwoGateRouter;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.Sites;
import io.moextend.nn.SwiGlu;
import io.moextend.op.Weight;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Builds the networks of models whose dense layers became mixtures, under the names of the
 * published MoIIE checkpoints.
 */
final class MixedNames {
  private final ParameterFactory from;
  private final DecoderConfig config;
  private final FamilyNames family;

  /** Of networks without adapters. */
  MixedNames(ParameterFactory from, DecoderConfig config) {
    this(from, config, new FamilyNames(from, config, Sites.NONE));
  }

  MixedNames(ParameterFactory from, DecoderConfig config, FamilyNames family) {
    this.from = from;
    this.config = config;
    this.family = family;
  }

  /**
   * @param prefix "model.layers.N.mlp"
   */
  DecoderLayer.FeedForward feedForward(String prefix, FeedForwardConfig.Mixed mixed, int index) {
    if (!mixed.layers().contains(index)) {
      return new DecoderLayer.FeedForward.Dense(
          family.dense(Role.FEED_FORWARD, mixed.width(), prefix));
    }
    Router router = router(prefix, mixed.scheme());
    List<SwiGlu> experts =
        experts(mixed.scheme())
            .map(name -> family.network(Role.EXPERT, mixed.width(), prefix + "." + name))
            .toList();
    return new DecoderLayer.FeedForward.Mixture(
        new MoeLayer(router, experts, mixed.scheme().jitter()));
  }

  private Router router(String prefix, Scheme scheme) {
    return switch (scheme) {
      case Scheme.Moiie m ->
          TwoGateRouter.of(gates(prefix, m.reachable(), m.reachable()), m.textOffset(), m.topK());
      case Scheme.Vanilla v ->
          new TopKRouter(
              Weight.of(from.backend(), gate(prefix + ".gate", Role.ROUTER, v.experts())),
              v.topK(),
              null);
      case Scheme.Modality() -> new ModalityRouter();
      case Scheme.RoutedModality r ->
          TwoGateRouter.of(gates(prefix, r.vision(), r.text()), r.vision(), r.topK());
    };
  }

  private Weight gates(String prefix, int vision, int text) {
    return Weight.of(
        from.backend(),
        gate(prefix + ".gate_vis", Role.VISION_ROUTER, vision),
        gate(prefix + ".gate", Role.ROUTER, text));
  }

  private Parameter gate(String name, Role role, int experts) {
    return from.weight(name + ".weight", role, experts, config.hidden());
  }

  /** The experts' names, by their numbers. */
  private static Stream<String> experts(Scheme scheme) {
    return switch (scheme) {
      case Scheme.Moiie m -> numbered("experts", m.experts());
      case Scheme.Vanilla v -> numbered("experts", v.experts());
      case Scheme.Modality() -> Stream.of("vision_expert", "language_expert");
      case Scheme.RoutedModality r ->
          Stream.concat(numbered("vis_experts", r.vision()), numbered("lan_experts", r.text()));
    };
  }

  private static Stream<String> numbered(String name, int count) {
    return IntStream.range(0, count).mapToObj(i -> name + "." + i);
  }
}
