package io.moextend.cli;

/** The ranks of a stage did not come to its end. */
final class StageFailedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int code;

  /**
   * @param code exit code of the ranks, not 0
   */
  StageFailedException(int code, String message) {
    super(message);
    this.code = code;
  }

  int code() {
    return code;
  }
}
