package io.moextend.model;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.DecoderConfig;
import io.moextend.config.DecoderType.Family;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.nn.SelfAttention;
import io.moextend.nn.SwiGlu;
import io.moextend.op.Weight;
import java.util.List;
import java.util.stream.Stream;

/**
 * Builds what a family cuts in its own way: attentions (q, k and v apart or in one matrix, with
 * biases or without) and feed-forward networks (gate and up apart or in one).
 */
final class FamilyNames {
  private final ParameterFactory from;
  private final DecoderConfig config;
  private final Family family;

  FamilyNames(ParameterFactory from, DecoderConfig config) {
    this.from = from;
    this.config = config;
    this.family = config.type().family();
  }

  /**
   * @param prefix "model.layers.0.self_attn"
   */
  SelfAttention attention(String prefix) {
    int size = config.heads().size();
    long query = (long) config.heads().query() * size;
    long keyValue = (long) config.heads().keyValue() * size;
    return new SelfAttention(
        family.fused()
            ? matrix(Role.BACKBONE, prefix + ".qkv_proj.weight", query + 2 * keyValue)
            : apart(prefix, query, keyValue),
        Weight.of(
            from.backend(),
            from.weight(prefix + ".o_proj.weight", Role.BACKBONE, config.hidden(), query)));
  }

  private Weight apart(String prefix, long query, long keyValue) {
    int hidden = config.hidden();
    List<Parameter> weights =
        List.of(
            from.weight(prefix + ".q_proj.weight", Role.BACKBONE, query, hidden),
            from.weight(prefix + ".k_proj.weight", Role.BACKBONE, keyValue, hidden),
            from.weight(prefix + ".v_proj.weight", Role.BACKBONE, keyValue, hidden));
    List<Parameter> biases =
        family.biased()
            ? Stream.of("q", "k", "v")
                .map(part -> bias(prefix, part, part.equals("q") ? query : keyValue))
                .toList()
            : List.of();
    return new Weight(from.backend(), weights, biases);
  }

  private Parameter bias(String prefix, String part, long size) {
    return from.parameter(
        "%s.%s_proj.bias".formatted(prefix, part), Role.BACKBONE, Init.ZEROS, size);
  }

  /**
   * A network under the family's names for its matrices.
   *
   * @param prefix "model.layers.0.mlp", or that of an expert
   */
  SwiGlu network(Role role, int width, String prefix) {
    String down = prefix + ".down_proj.weight";
    return family.fused()
        ? new SwiGlu(
            matrix(role, prefix + ".gate_up_proj.weight", 2L * width), down(role, width, down))
        : network(role, width, prefix + ".gate_proj.weight", prefix + ".up_proj.weight", down);
  }

  /** A network of three matrices with names of their own. */
  SwiGlu network(Role role, int width, String gate, String up, String down) {
    int hidden = config.hidden();
    return new SwiGlu(
        Weight.of(
            from.backend(),
            from.weight(gate, role, width, hidden),
            from.weight(up, role, width, hidden)),
        down(role, width, down));
  }

  private Weight down(Role role, int width, String name) {
    return Weight.of(from.backend(), from.weight(name, role, config.hidden(), width));
  }

  private Weight matrix(Role role, String name, long rows) {
    return Weight.of(from.backend(), from.weight(name, role, rows, config.hidden()));
  }
}
