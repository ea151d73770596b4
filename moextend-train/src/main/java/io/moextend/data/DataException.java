package io.moextend.data;

import org.jspecify.annotations.Nullable;

/** Data that cannot be trained on; the message names file, sample and mend. */
public final class DataException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public DataException(String message) {
    super(message);
  }

  public DataException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  /**
   * @param where file, number and id of a sample
   */
  static DataException at(String where, String whatAndMend, @Nullable Throwable cause) {
    return new DataException(where + ": " + whatAndMend, cause);
  }
}
