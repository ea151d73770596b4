package io.moextend.checkpoint;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Elements {@code from} (inclusive) to {@code to} (exclusive) of a named array of one dimension.
 *
 * @param total elements of the whole array
 */
public record Piece(String array, long from, long to, long total) {
  private static final Pattern NAME =
      Pattern.compile("(.+)\\[(\\d{1,18}):(\\d{1,18}) of (\\d{1,18})]", Pattern.DOTALL);

  public Piece {
    if (from < 0 || to <= from || to > total) {
      throw new CheckpointException(
          "%s: elements %d to %d are no piece of %d"
              .formatted(CheckpointException.shown(array), from, to, total));
    }
  }

  public long count() {
    return to - from;
  }

  /** Its name as a tensor: {@code exp_avg.model.x.weight[0:1024 of 4096]}. */
  public String tensor() {
    return String.format(Locale.ROOT, "%s[%d:%d of %d]", array, from, to, total);
  }

  static boolean isNameOfOne(String tensor) {
    return NAME.matcher(tensor).matches();
  }

  /**
   * @throws CheckpointException where the name is not one that {@link #tensor} makes
   */
  static Piece ofName(String tensor) {
    Matcher match = NAME.matcher(tensor);
    if (!match.matches()) {
      throw new CheckpointException(CheckpointException.shown(tensor) + ": is no piece's name");
    }
    return new Piece(
        match.group(1),
        Long.parseLong(match.group(2)),
        Long.parseLong(match.group(3)),
        Long.parseLong(match.group(4)));
  }
}
