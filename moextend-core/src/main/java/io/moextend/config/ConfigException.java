package io.moextend.config;

/** A setting that cannot be used: where it stands, what it is, and the mend. */
public final class ConfigException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public ConfigException(String message) {
    super(message);
  }

  /**
   * @param where file and field, as the user knows them
   * @param mend what to write instead
   */
  public ConfigException(String where, Object value, String mend) {
    super("%s=%s: %s".formatted(where, value, mend));
  }

  public ConfigException(String message, Throwable cause) {
    super(message, cause);
  }

  /** Refuses a size below 1. */
  static void requirePositive(String field, int value) {
    if (value < 1) {
      throw new ConfigException(field, value, "must be at least 1");
    }
  }
}
