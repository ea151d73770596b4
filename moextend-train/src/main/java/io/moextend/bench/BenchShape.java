package io.moextend.bench;

import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.VisionConfig;
import java.util.Arrays;
import java.util.SortedSet;
import org.jspecify.annotations.Nullable;

/**
 * What the models to be timed have in common with those of the peers in scripts/bench: heads of
 * width 64, one key head for four query heads, two experts a token.
 */
final class BenchShape {
  static final int HEAD = 64;

  private static final double BALANCE = 0.001;

  private BenchShape() {}

  static void requireHidden(int hidden) {
    if (hidden < HEAD || hidden % HEAD != 0) {
      throw new ConfigException("--size hidden", hidden, "must be a multiple of " + HEAD);
    }
  }

  /**
   * What stands behind {@code --size}.
   *
   * @param wanted how many numbers, with commas between them
   * @param form what to write instead of something else
   */
  static int[] numbers(String text, int wanted, String form) {
    try {
      int[] numbers =
          Arrays.stream(text.split(",", -1)).mapToInt(s -> Integer.parseInt(s.strip())).toArray();
      if (numbers.length == wanted) {
        return numbers;
      }
    } catch (NumberFormatException e) {
      // said below, as any other wrong text is
    }
    throw new ConfigException("--size", text, "write " + form);
  }

  static DecoderConfig config(
      int hidden,
      int intermediate,
      int layers,
      int experts,
      int vocab,
      int positions,
      SortedSet<Integer> extended,
      @Nullable VisionConfig vision) {
    return new DecoderConfig(
        "mixtral",
        vocab,
        hidden,
        layers,
        new DecoderConfig.Heads(hidden / HEAD, Math.max(1, hidden / 256), HEAD),
        new DecoderConfig.Rope(1e6, Math.max(4096, positions)),
        0,
        1e-5,
        0.02,
        false,
        new FeedForwardConfig.Experts(intermediate, experts, 2, extended, BALANCE),
        new DecoderConfig.SpecialTokens(1, 2, 2),
        vision);
  }
}
