package io.moextend.array;

/** Arrays that do not fit each other; the message names them. */
public final class ShapeException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  public ShapeException(String message) {
    super(message);
  }
}
