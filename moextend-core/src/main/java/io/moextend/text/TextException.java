package io.moextend.text;

import org.jspecify.annotations.Nullable;

/** A tokenizer or a text that cannot be used; the message says what, where and the mend. */
public final class TextException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public TextException(String message) {
    super(message);
  }

  public TextException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
