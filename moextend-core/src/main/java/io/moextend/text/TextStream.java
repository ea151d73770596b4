package io.moextend.text;

import java.util.Arrays;
import java.util.function.Consumer;

/**
 * Text of tokens as they come, without white space at its ends. How a token reads depends on those
 * before it, so each is decoded together with those of the last piece; a character that is not
 * whole yet waits for its other bytes. Not thread-safe.
 */
public final class TextStream {
  /** What a decoder writes for bytes that are no whole character. */
  private static final String BROKEN = "\uFFFD";

  private final Tokenizer tokenizer;
  private final Consumer<String> out;
  private final StringBuilder space = new StringBuilder();
  private int[] window = new int[0];
  private int told;
  private boolean begun;

  /**
   * @param out is handed each piece as soon as it is certain
   */
  public TextStream(Tokenizer tokenizer, Consumer<String> out) {
    this.tokenizer = tokenizer;
    this.out = out;
  }

  public void add(int token) {
    window = Arrays.copyOf(window, window.length + 1);
    window[window.length - 1] = token;
    String piece = piece();
    if (!piece.isEmpty() && !piece.endsWith(BROKEN)) {
      tell(piece);
      window = Arrays.copyOfRange(window, told, window.length);
      told = window.length;
    }
  }

  /** No token follows: tells what was waiting. */
  public void end() {
    tell(piece());
    window = new int[0];
    told = 0;
  }

  /** What is new since the last piece. */
  private String piece() {
    String before = tokenizer.decode(Arrays.copyOf(window, told));
    String now = tokenizer.decode(window);
    return now.substring(Math.min(before.length(), now.length()));
  }

  /** White space waits for a word to follow it. */
  private void tell(String piece) {
    space.append(piece);
    int end = space.toString().stripTrailing().length();
    if (end > 0) {
      String words = space.substring(0, end);
      out.accept(begun ? words : words.stripLeading());
      begun = true;
      space.delete(0, end);
    }
  }
}
