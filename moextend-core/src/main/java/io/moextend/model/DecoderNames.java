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
import io.moextend.nn.SelfAttention;
import io.moextend.nn.SwiGlu;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Builds a decoder's layers under the names of the published checkpoints of Mixtral, MoExtend and
 * Llama.
 */
final class DecoderNames {
  private static final String LAYERS = "model.layers.";

  private final ParameterFactory from;
  private final DecoderConfig config;

  DecoderNames(ParameterFactory from, DecoderConfig config) {
    this.from = from;
    this.config = config;
  }

  /** True for what belongs to one of the decoder's layers. */
  static boolean inLayer(String name) {
    return name.startsWith(LAYERS);
  }

  DecoderLayer layer(int index) {
    String prefix = LAYERS + index;
    return new DecoderLayer(
        norm(prefix + ".input_layernorm.weight"),
        attention(prefix + ".self_attn"),
        norm(prefix + ".post_attention_layernorm.weight"),
        switch (config.feedForward()) {
          case FeedForwardConfig.Dense(int width) ->
              new DecoderLayer.FeedForward.Dense(
                  swiGlu(
                      Role.FEED_FORWARD,
                      width,
                      prefix + ".mlp.gate_proj.weight",
                      prefix + ".mlp.up_proj.weight",
                      prefix + ".mlp.down_proj.weight"));
          case FeedForwardConfig.Experts experts ->
              new DecoderLayer.FeedForward.Mixture(
                  mixture(prefix + ".block_sparse_moe", experts, index));
          case FeedForwardConfig.Mixed mixed ->
              new MixedNames(from, config).feedForward(prefix + ".mlp", mixed, index);
        },
        config.normEps());
  }

  Parameter norm(String name) {
    return from.parameter(name, Role.BACKBONE, Init.ONES, config.hidden());
  }

  private SelfAttention attention(String prefix) {
    int size = config.heads().size();
    long query = (long) config.heads().query() * size;
    long keyValue = (long) config.heads().keyValue() * size;
    int hidden = config.hidden();
    return new SelfAttention(
        Weight.of(
            from.backend(),
            from.weight(prefix + ".q_proj.weight", Role.BACKBONE, query, hidden),
            from.weight(prefix + ".k_proj.weight", Role.BACKBONE, keyValue, hidden),
            from.weight(prefix + ".v_proj.weight", Role.BACKBONE, keyValue, hidden)),
        Weight.of(
            from.backend(), from.weight(prefix + ".o_proj.weight", Role.BACKBONE, hidden, query)));
  }

  private SwiGlu swiGlu(Role role, int width, String gate, String up, String down) {
    int hidden = config.hidden();
    return new SwiGlu(
        Weight.of(
            from.backend(),
            from.weight(gate, role, width, hidden),
            from.weight(up, role, width, hidden)),
        Weight.of(from.backend(), from.weight(down, role, hidden, width)));
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
          swiGlu(
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
