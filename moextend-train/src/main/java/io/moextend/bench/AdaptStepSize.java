package io.moextend.bench;

import io.moextend.config.ConfigException;
import io.moextend.config.T5Config;

/**
 * A T5 v1.1 to be timed and the batch it is given, as in scripts/bench/hf_t5_peer.py.
 *
 * @param hidden d_model; heads are hidden / heads wide
 * @param width d_ff
 * @param layers of the encoder, and of the decoder
 * @param rows of a batch, all of them full
 * @param inputs tokens of a row that the encoder reads
 * @param targets tokens of a row that the decoder writes
 */
public record AdaptStepSize(
    int hidden, int width, int layers, int heads, int vocab, int rows, int inputs, int targets) {
  /** What {@code --size} is where nobody says: T5 large with a third of its layers. */
  public static final AdaptStepSize USUAL =
      new AdaptStepSize(1024, 2816, 8, 16, 32128, 2, 512, 128);

  /** Tokens are drawn from those behind padding and end. */
  static final int FIRST_TOKEN = 2;

  public AdaptStepSize {
    require("d_model", hidden, 1);
    require("d_ff", width, 1);
    require("layers", layers, 1);
    require("heads", heads, 1);
    require("vocab", vocab, FIRST_TOKEN + 1);
    require("rows", rows, 1);
    require("inputs", inputs, 1);
    require("targets", targets, 1);
    if (hidden % heads != 0) {
      throw new ConfigException("--size d_model", hidden, "must be a multiple of heads=" + heads);
    }
  }

  private static void require(String name, int value, int least) {
    if (value < least) {
      throw new ConfigException("--size " + name, value, "must be at least " + least);
    }
  }

  /**
   * @param text d_model,d_ff,layers,heads,vocab,rows,inputs,targets
   */
  public static AdaptStepSize parse(String text) {
    int[] n =
        BenchShape.numbers(
            text, 8, "d_model,d_ff,layers,heads,vocab,rows,inputs,targets, as in " + USUAL);
    return new AdaptStepSize(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]);
  }

  /** Of inputs and targets. */
  public int tokens() {
    return rows * (inputs + targets);
  }

  T5Config config() {
    return T5Config.v11(vocab, hidden, hidden / heads, heads, width, layers, layers);
  }

  @Override
  public String toString() {
    return "%d,%d,%d,%d,%d,%d,%d,%d"
        .formatted(hidden, width, layers, heads, vocab, rows, inputs, targets);
  }
}
