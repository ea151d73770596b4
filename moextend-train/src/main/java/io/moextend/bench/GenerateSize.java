package io.moextend.bench;

import io.moextend.config.DecoderConfig;
import java.util.TreeSet;

/** A Mixtral to be timed at generating, of the shape that {@link StepSize} has too. */
public record GenerateSize(int hidden, int intermediate, int layers, int experts, int vocab) {
  /** What {@code --size} is where nobody says. */
  public static final GenerateSize USUAL = new GenerateSize(1024, 3584, 4, 8, 8192);

  public GenerateSize {
    BenchShape.requireHidden(hidden);
  }

  /**
   * @param text hidden,intermediate,layers,experts,vocab
   */
  public static GenerateSize parse(String text) {
    int[] n =
        BenchShape.numbers(text, 5, "hidden,intermediate,layers,experts,vocab, as in " + USUAL);
    return new GenerateSize(n[0], n[1], n[2], n[3], n[4]);
  }

  /**
   * @param positions of prompt and answer
   */
  DecoderConfig config(int positions) {
    return BenchShape.config(
        hidden, intermediate, layers, experts, vocab, positions, new TreeSet<>(), null);
  }

  @Override
  public String toString() {
    return "%d,%d,%d,%d,%d".formatted(hidden, intermediate, layers, experts, vocab);
  }
}
