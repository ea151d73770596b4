package io.moextend.model;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.moe.Calibration;
import io.moextend.moe.MoeLayer;
import io.moextend.moe.TopKRouter;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.nn.Sites;
import io.moextend.nn.SwiGlu;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Builds a decoder's layers under the names of the published checkpoints. */
final class DecoderNames {
  private static final String LAYERS = "model.layers.";

  private final ParameterFactory from;
  private final DecoderConfig config;
  private final FamilyNames family;

  DecoderNames(ParameterFactory from, DecoderConfig config, Sites sites) {
    this.from = from;
    this.config = config;
    this.family = new FamilyNames(from, config, sites);
  }

  /** True for what belongs to one of the decoder's layers. */
  static boolean inLayer(String name) {
    return name.startsWith(LAYERS);
  }

  DecoderLayer layer(int index) {
    String prefix = LAYERS + index;
    return new DecoderLayer(
        norm(prefix + ".input_layernorm.weight"),
        family.attention(prefix + ".self_attn"),
        norm(prefix + ".post_attention_layernorm.weight"),
        switch (config.feedForward()) {
          case FeedForwardConfig.Dense(int width) ->
              new DecoderLayer.FeedForward.Dense(
                  family.dense(Role.FEED_FORWARD, width, prefix + ".mlp"));
          case FeedForwardConfig.Experts experts ->
              new DecoderLayer.FeedForward.Mixture(
                  mixture(prefix + ".block_sparse_moe", experts, index));
          case FeedForwardConfig.Mixed mixed ->
              new MixedNames(from, config, family).feedForward(prefix + ".mlp", mixed, index);
        },
        config.normEps());
  }

  Parameter norm(String name) {
    return from.parameter(name, Role.BACKBONE, Init.ONES, config.hidden());
  }

  private MoeLayer mixture(String prefix, FeedForwardConfig.Experts experts, int index) {
    int count = experts.countIn(index);
    boolean extended = count > experts.count();
    var gate = new ArrayList<Parameter>();
    gate.add(from.weight(prefix + ".gate.weight", Role.ROUTER, experts.count(), config.hidden()));
    if (extended) {
      gate.add(
          from.weight(
              prefix + ".gate_vision.weight",
              Role.NEW_ROUTER,
              count - experts.count(),
              config.hidden()));
    }
    var router =
        new TopKRouter(
            new Weight(from.backend(), gate, List.of()),
            experts.topK(),
            calibration(prefix + ".weight_scale.weight_scale", extended, count));
    var networks = new ArrayList<SwiGlu>();
    for (int e = 0; e < count; e++) {
      String expert = prefix + ".experts." + e;
      networks.add(
          family.network(
              e < experts.count() ? Role.BACKBONE : Role.NEW_EXPERT,
              experts.width(),
              expert + ".w1.weight",
              expert + ".w3.weight",
              expert + ".w2.weight"));
    }
    return new MoeLayer(router, networks);
  }

  private @Nullable Calibration calibration(String prefix, boolean extended, int experts) {
    if (!extended) {
      return null;
    }
    return new Calibration(
        Weight.of(
            from.backend(),
            from.weight(prefix + ".0.weight", Role.CALIBRATION, Calibration.WIDTH, experts)),
        Weight.of(
            from.backend(),
            from.parameter(
                prefix + ".2.weight", Role.CALIBRATION, Init.ZEROS, experts, Calibration.WIDTH)));
  }
}
