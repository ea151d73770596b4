package io.moextend.checkpoint;

import org.jspecify.annotations.Nullable;

/** A file that cannot be read or trusted; the message names the file, the tensor and the mend. */
public final class CheckpointException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final int LONGEST_NAME = 200;

  public CheckpointException(String message) {
    super(message);
  }

  public CheckpointException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  /**
   * @param where the file, or a source's {@link WeightSource#origin}
   * @param tensor its name as the file has it, made fit to print here
   * @param problem what is wrong and the mend
   */
  public static CheckpointException ofTensor(Object where, String tensor, String problem) {
    return new CheckpointException("%s: tensor %s: %s".formatted(where, shown(tensor), problem));
  }

  /** A name out of a file that may be hostile: cut, and without control characters. */
  static String shown(String name) {
    String cut = name.length() <= LONGEST_NAME ? name : name.substring(0, LONGEST_NAME) + "…";
    return cut.replaceAll("\\p{Cntrl}", "?");
  }
}
