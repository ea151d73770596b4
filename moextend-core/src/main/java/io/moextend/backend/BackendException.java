package io.moextend.backend;

import org.jspecify.annotations.Nullable;

/** A backend that cannot be had or a device that failed; the message names the mend. */
public final class BackendException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public BackendException(String message) {
    super(message);
  }

  public BackendException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
