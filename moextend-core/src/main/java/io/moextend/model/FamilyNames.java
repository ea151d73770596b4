package io.moextend.model;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.DecoderConfig;
import io.moextend.config.DecoderType.Family;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.nn.SelfAttention;
import io.moextend.nn.Sites;
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
  private final Sites sites;
  private final Family family;

  FamilyNames(ParameterFactory from, DecoderConfig config, Sites sites) {
    this.from = from;
    this.config = config;
    this.sites = sites;
    this.family = config.type().family();
  }

  /**
   * @param prefix "model.layers.0.self_attn"
   */
  SelfAttention attention(String prefix) {
    int size = config.heads().size();
    long query = (long) config.heads().query() * size;
    long keyValue = (long) config.heads().keyValue() * size;
    Weight qkv =
        family.fused()
            ? matrix(Role.BACKBONE, prefix + ".qkv_proj.weight", query + 2 * keyValue)
            : apart(prefix, query, keyValue);
    Weight out =
        Weight.of(
            from.backend(),
            from.weight(prefix + ".o_proj.weight", Role.BACKBONE, config.hidden(), query));
    var columns = new SiteColumns(sites, config.hidden());
    var heads = config.heads();
    boolean whole =
        family.fused()
            && columns.at(
                prefix + ".qkv_proj",
                0,
                query + 2 * keyValue,
                heads.query() + 2 * heads.keyValue());
    if (!whole) { // a fused product can have adapters of its parts, too
      columns.at(prefix + ".q_proj", 0, query, heads.query());
      columns.at(prefix + ".k_proj", query, keyValue, heads.keyValue());
      columns.at(prefix + ".v_proj", query + keyValue, keyValue, heads.keyValue());
    }
    var after = new SiteColumns(sites, query);
    after.at(prefix + ".o_proj", 0, config.hidden(), 1);
    return new SelfAttention(
        columns.linear(qkv),
        after.linear(out),
        new SelfAttention.Rescaled(
            columns.rescaling(prefix + ".qkv_proj"),
            columns.rescaling(prefix + ".k_proj"),
            columns.rescaling(prefix + ".v_proj")));
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
   * A network under the family's names for its matrices, with adapters.
   *
   * @param prefix "model.layers.0.mlp"
   */
  SwiGlu dense(Role role, int width, String prefix) {
    SwiGlu bare = network(role, width, prefix);
    var columns = new SiteColumns(sites, config.hidden());
    boolean whole = family.fused() && columns.at(prefix + ".gate_up_proj", 0, 2L * width, 1);
    if (!whole) {
      columns.at(prefix + ".gate_proj", 0, width, 1);
      columns.at(prefix + ".up_proj", width, width, 1);
    }
    var after = new SiteColumns(sites, width);
    after.at(prefix + ".down_proj", 0, config.hidden(), 1);
    return new SwiGlu(
        columns.linear(bare.gateUp().weight()),
        after.linear(bare.down().weight()),
        after.rescaling(prefix + ".down_proj"));
  }

  /**
   * As {@link #dense}, without adapters: an expert.
   *
   * @param prefix "model.layers.0.mlp.experts.0"
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
