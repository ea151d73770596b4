package io.moextend.config;

import io.moextend.backend.Activation;

/**
 * A T5: an encoder and a decoder over one vocabulary, positions by relative buckets.
 *
 * @param headSize width of one attention head; {@code heads} of them need not make {@code hidden}
 * @param width of the feed-forward networks
 * @param buckets of relative positions
 * @param maxDistance from which on all distances share one bucket
 * @param gated true where a second product gates the first (version 1.1)
 * @param tiedHead true where the head is the embedding table
 * @param scaledHead true where the head reads hidden / √hidden, as version 1.0's tied one does
 */
public record T5Config(
    int vocab,
    int hidden,
    int headSize,
    int heads,
    int width,
    int encoderLayers,
    int decoderLayers,
    int buckets,
    int maxDistance,
    double normEps,
    Activation activation,
    boolean gated,
    boolean tiedHead,
    boolean scaledHead,
    SpecialTokens tokens)
    implements ModelConfig {
  static final String TYPE = "t5";

  /**
   * @param start what the decoder is given before the first target
   */
  public record SpecialTokens(int pad, int eos, int start) {
    /** As published. */
    public static final SpecialTokens USUAL = new SpecialTokens(0, 1, 0);
  }

  public T5Config {
    ConfigException.requirePositive("vocab_size", vocab);
    ConfigException.requirePositive("d_model", hidden);
    ConfigException.requirePositive("d_kv", headSize);
    ConfigException.requirePositive("num_heads", heads);
    ConfigException.requirePositive("d_ff", width);
    ConfigException.requirePositive("num_layers", encoderLayers);
    ConfigException.requirePositive("num_decoder_layers", decoderLayers);
    if (buckets < 4 || buckets % 4 != 0) {
      throw new ConfigException(
          "relative_attention_num_buckets", buckets, "must be a multiple of 4");
    }
    if (maxDistance <= buckets / 2) {
      throw new ConfigException(
          "relative_attention_max_distance",
          maxDistance,
          "must be above half of relative_attention_num_buckets=" + buckets);
    }
    if (!(normEps > 0)) {
      throw new ConfigException("layer_norm_epsilon", normEps, "must be above 0");
    }
  }

  /** Version 1.1 as published: 32 buckets to a distance of 128, tanh-GELU, a head of its own. */
  public static T5Config v11(
      int vocab, int hidden, int headSize, int heads, int width, int encoder, int decoder) {
    return new T5Config(
        vocab,
        hidden,
        headSize,
        heads,
        width,
        encoder,
        decoder,
        32,
        128,
        1e-6,
        Activation.GELU_TANH,
        true,
        false,
        false,
        SpecialTokens.USUAL);
  }

  /** Width of all heads together. */
  public int inner() {
    return heads * headSize;
  }

  /** The same model whose head is the embedding table, or is not. */
  public T5Config withHead(boolean tied) {
    return new T5Config(
        vocab,
        hidden,
        headSize,
        heads,
        width,
        encoderLayers,
        decoderLayers,
        buckets,
        maxDistance,
        normEps,
        activation,
        gated,
        tied,
        scaledHead,
        tokens);
  }

  @Override
  public String modelType() {
    return TYPE;
  }
}
