package io.moextend.checkpoint;

import org.jspecify.annotations.Nullable;

/** A file that cannot be read or trusted; the message names the file, the tensor and the mend. */
public final class CheckpointException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public CheckpointException(String message) {
    super(message);
  }

  public CheckpointException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
