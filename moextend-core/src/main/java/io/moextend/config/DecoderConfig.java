package io.moextend.config;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model.
 *
 * @param window keys a query sees back, its own included; 0 = all
 * @param tiedHead true where the head is the embedding table
 * @param vision null where the model takes no images
 */
public record DecoderConfig(
    String modelType,
    int vocab,
    int hidden,
    int layers,
    Heads heads,
    Rope rope,
    int window,
    double normEps,
    double initializerRange,
    boolean tiedHead,
    FeedForwardConfig feedForward,
    SpecialTokens tokens,
    @Nullable VisionConfig vision)
    implements ModelConfig {
  /** Attention heads; {@code size} is the width of one. */
  public record Heads(int query, int keyValue, int size) {
    public Heads {
      ConfigException.requirePositive("num_attention_heads", query);
      ConfigException.requirePositive("head_dim", size);
      if (keyValue < 1 || query % keyValue != 0) {
        throw new ConfigException(
            "num_key_value_heads", keyValue, "must divide num_attention_heads=" + query);
      }
    }
  }

  /** Rotary positions up to {@code maxPositions}. */
  public record Rope(double theta, int maxPositions, RopeScaling scaling) {
    /** Angles as they are. */
    public Rope(double theta, int maxPositions) {
      this(theta, maxPositions, new RopeScaling.None());
    }

    public Rope {
      ConfigException.requirePositive("max_position_embeddings", maxPositions);
      if (!(theta > 0)) {
        throw new ConfigException("rope_theta", theta, "must be above 0");
      }
    }

    /** Sequences up to this many tokens share their angles; longer ones have others. */
    public int sameAnglesUpTo() {
      return scaling instanceof RopeScaling.ByLength by ? by.originalPositions() : maxPositions;
    }
  }

  /**
   * @param pad its embedding is never trained; null where the model names none
   * @param otherEnds that end an answer as {@code eos} does
   */
  public record SpecialTokens(int bos, int eos, @Nullable Integer pad, List<Integer> otherEnds) {
    public SpecialTokens {
      otherEnds = List.copyOf(otherEnds);
    }

    public SpecialTokens(int bos, int eos, @Nullable Integer pad) {
      this(bos, eos, pad, List.of());
    }

    /** True where an answer is over with this token. */
    public boolean end(int token) {
      return token == eos || otherEnds.contains(token);
    }
  }

  public DecoderConfig {
    ConfigException.requirePositive("vocab_size", vocab);
    ConfigException.requirePositive("hidden_size", hidden);
    ConfigException.requirePositive("num_hidden_layers", layers);
    if (window < 0) {
      throw new ConfigException("sliding_window", window, "must be 0 (all) or more");
    }
    if (feedForward instanceof FeedForwardConfig.Experts experts
        && !experts.extendedLayers().isEmpty()
        && experts.extendedLayers().last() >= layers) {
      throw new ConfigException(
          "add_layer",
          experts.extendedLayers(),
          "names a layer beyond num_hidden_layers=" + layers);
    }
    if (feedForward instanceof FeedForwardConfig.Mixed mixed && mixed.layers().last() >= layers) {
      throw new ConfigException(
          "moe_layers", mixed.layers(), "names a layer beyond num_hidden_layers=" + layers);
    }
  }

  /**
   * @throws ConfigException where nobody has published such
   */
  public DecoderType type() {
    return DecoderType.of(modelType)
        .orElseThrow(
            () ->
                new ConfigException(
                    "model_type", modelType, "known decoders are " + DecoderType.modelTypes()));
  }

  /** The same model under another name of its family. */
  public DecoderConfig with(DecoderType other) {
    return with(other.modelType(), vocab, feedForward, vision);
  }

  /** The same model with other networks between its attentions. */
  public DecoderConfig with(FeedForwardConfig other) {
    return with(modelType, vocab, other, vision);
  }

  /** The same model that takes images, with as many rows of vocabulary as their ids need. */
  public DecoderConfig with(VisionConfig images, int rows) {
    return with(modelType, rows, feedForward, images);
  }

  private DecoderConfig with(
      String type, int rows, FeedForwardConfig networks, @Nullable VisionConfig images) {
    return new DecoderConfig(
        type,
        rows,
        hidden,
        layers,
        heads,
        rope,
        window,
        normEps,
        initializerRange,
        tiedHead,
        networks,
        tokens,
        images);
  }
}
