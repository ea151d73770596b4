package io.moextend.model;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.T5Config;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.nn.Sites;
import io.moextend.nn.Slot;
import io.moextend.op.Weight;
import java.util.List;

/** Builds a T5's layers under the names of Hugging Face's checkpoints. */
final class T5Names {
  static final String EMBEDDING = "shared.weight";
  static final String HEAD = "lm_head.weight";
  private static final String BLOCK = ".block.";
  private static final String BUCKETS = ".relative_attention_bias.weight";

  private final ParameterFactory from;
  private final T5Config config;
  private final Sites sites;

  T5Names(ParameterFactory from, T5Config config, Sites sites) {
    this.from = from;
    this.config = config;
    this.sites = sites;
  }

  /** True for what belongs to one of the layers, and not to all of a stack. */
  static boolean inLayer(String name) {
    return (name.startsWith("encoder" + BLOCK) || name.startsWith("decoder" + BLOCK))
        && !name.endsWith(BUCKETS);
  }

  /** [vocab, hidden]. */
  Parameter embedding() {
    return from.weight(EMBEDDING, Role.BACKBONE, config.vocab(), config.hidden());
  }

  /**
   * @param stack "encoder" or "decoder"
   * @return [buckets, heads]
   */
  Parameter buckets(String stack) {
    return from.weight(
        stack + BLOCK + "0.layer.0.SelfAttention" + BUCKETS,
        Role.BACKBONE,
        config.buckets(),
        config.heads());
  }

  Parameter norm(String prefix) {
    return from.parameter(prefix + "layer_norm.weight", Role.BACKBONE, Init.ONES, config.hidden());
  }

  Weight head(Parameter embedding) {
    return Weight.of(
        from.backend(),
        config.tiedHead()
            ? embedding
            : from.weight(HEAD, Role.BACKBONE, config.vocab(), config.hidden()));
  }

  T5Layer encoderLayer(int index) {
    String prefix = "encoder" + BLOCK + index + ".layer.";
    return new T5Layer(self(prefix), null, feedForward(prefix + "1."), config.normEps());
  }

  T5Layer decoderLayer(int index) {
    String prefix = "decoder" + BLOCK + index + ".layer.";
    return new T5Layer(
        self(prefix), cross(prefix + "1."), feedForward(prefix + "2."), config.normEps());
  }

  private T5Layer.Normed<T5Attention> self(String layer) {
    String prefix = layer + "0.SelfAttention";
    var qkv = List.of(matrix(prefix, "q"), matrix(prefix, "k"), matrix(prefix, "v"));
    return new T5Layer.Normed<>(
        norm(layer + "0."),
        new T5Attention(
            new Weight(from.backend(), qkv, List.of()),
            null,
            out(prefix),
            slots(prefix),
            config.heads(),
            prefix));
  }

  private T5Layer.Normed<T5Attention> cross(String layer) {
    String prefix = layer + "EncDecAttention";
    return new T5Layer.Normed<>(
        norm(layer),
        new T5Attention(
            Weight.of(from.backend(), matrix(prefix, "q")),
            Weight.of(from.backend(), matrix(prefix, "k"), matrix(prefix, "v")),
            out(prefix),
            slots(prefix),
            config.heads(),
            prefix));
  }

  private Parameter matrix(String prefix, String part) {
    return from.weight(
        prefix + "." + part + ".weight", Role.BACKBONE, config.inner(), config.hidden());
  }

  private Weight out(String prefix) {
    return Weight.of(
        from.backend(),
        from.weight(prefix + ".o.weight", Role.BACKBONE, config.hidden(), config.inner()));
  }

  private T5Attention.Slots slots(String prefix) {
    int inner = config.inner();
    return new T5Attention.Slots(
        Slot.adding(sites, headed(prefix + ".q")),
        Slot.of(sites, headed(prefix + ".k")),
        Slot.of(sites, headed(prefix + ".v")),
        Slot.adding(sites, new Sites.Layer(prefix + ".o", inner, config.hidden(), 1)));
  }

  private Sites.Layer headed(String module) {
    return new Sites.Layer(module, config.hidden(), config.inner(), config.heads());
  }

  private T5Layer.Normed<T5FeedForward> feedForward(String layer) {
    String prefix = layer + "DenseReluDense";
    String inner = prefix + (config.gated() ? ".wi_0" : ".wi");
    int hidden = config.hidden();
    int width = config.width();
    Parameter first = network(inner, width, hidden);
    return new T5Layer.Normed<>(
        norm(layer),
        new T5FeedForward(
            config.gated()
                ? Weight.of(from.backend(), first, network(prefix + ".wi_1", width, hidden))
                : Weight.of(from.backend(), first),
            Weight.of(from.backend(), network(prefix + ".wo", hidden, width)),
            config.activation(),
            config.gated(),
            Slot.of(sites, new Sites.Layer(inner, hidden, width, 1)),
            Slot.adding(sites, new Sites.Layer(prefix + ".wo", width, hidden, 1)),
            prefix));
  }

  private Parameter network(String module, int out, int in) {
    return from.weight(module + ".weight", Role.FEED_FORWARD, out, in);
  }
}
