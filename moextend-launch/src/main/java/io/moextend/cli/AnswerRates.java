package io.moextend.cli;

import java.util.Locale;

/** How fast an answer came: the prompt up to the first new token, then those behind it. */
final class AnswerRates {
  private static final double NANOS = 1e9;

  private final int prompt;
  private final long start = System.nanoTime();
  private long first;
  private long last;
  private int tokens;

  /**
   * @param prompt its tokens, images counted; the clock starts now
   */
  AnswerRates(int prompt) {
    this.prompt = prompt;
  }

  /** A new token is there. */
  void count() {
    last = System.nanoTime();
    if (tokens++ == 0) {
      first = last;
    }
  }

  @Override
  public String toString() {
    if (tokens == 0) {
      return "prompt of %d tokens, an empty answer".formatted(prompt);
    }
    double before = (first - start) / NANOS;
    String text =
        String.format(
            Locale.ROOT,
            "prompt of %d tokens in %.2f s (%.1f tokens/s)",
            prompt,
            before,
            prompt / before);
    if (tokens == 1) {
      return text + ", 1 new token";
    }
    double behind = (last - first) / NANOS;
    return text
        + String.format(
            Locale.ROOT,
            ", then %d new tokens in %.2f s (%.1f tokens/s)",
            tokens - 1,
            behind,
            (tokens - 1) / behind);
  }
}
