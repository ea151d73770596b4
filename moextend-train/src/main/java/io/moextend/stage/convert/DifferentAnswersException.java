package io.moextend.stage.convert;

/** A converted model does not say what its source says, although it has to. */
public final class DifferentAnswersException extends RuntimeException {
  DifferentAnswersException(String message) {
    super(message);
  }
}
