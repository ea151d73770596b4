package io.moextend.data.image;

import org.jspecify.annotations.Nullable;

/** An image or its preprocessing that cannot be used; the message names the file and the mend. */
public final class ImageException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public ImageException(String message) {
    super(message);
  }

  public ImageException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
