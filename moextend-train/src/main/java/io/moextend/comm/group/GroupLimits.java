package io.moextend.comm.group;

import java.time.Duration;
import java.util.Map;

/**
 * How long who waits for whom.
 *
 * @param join for all ranks, or all hosts, to come
 * @param patience with a peer that gives no sign of life while others wait for it
 * @param collective for one collective call, even where the rank that is waited for is alive and
 *     computing
 */
public record GroupLimits(Duration join, Duration patience, Duration collective) {
  static final String JOIN = "MOEXTEND_JOIN_SECONDS";
  static final String PATIENCE = "MOEXTEND_PATIENCE_SECONDS";
  static final String COLLECTIVE = "MOEXTEND_COLLECTIVE_SECONDS";

  public GroupLimits {
    requirePositive("join", join);
    requirePositive("patience", patience);
    requirePositive("collective", collective);
  }

  private static void requirePositive(String name, Duration duration) {
    if (duration.isZero() || duration.isNegative()) {
      throw new IllegalArgumentException(name + "=" + duration + " must be more than nothing");
    }
  }

  /** 300 s to come, 60 s of silence, 600 s in one call. */
  public static GroupLimits usual() {
    return new GroupLimits(
        Duration.ofSeconds(300), Duration.ofSeconds(60), Duration.ofSeconds(600));
  }

  /** The usual ones where MOEXTEND_JOIN_SECONDS and the like say nothing else. */
  public static GroupLimits of(Map<String, String> environment) {
    var words = new Words(environment);
    GroupLimits usual = usual();
    return new GroupLimits(
        words.seconds(JOIN, usual.join),
        words.seconds(PATIENCE, usual.patience),
        words.seconds(COLLECTIVE, usual.collective));
  }

  /** What {@link #of} reads back, for a child process. */
  public Map<String, String> words() {
    return Map.of(
        JOIN, seconds(join), PATIENCE, seconds(patience), COLLECTIVE, seconds(collective));
  }

  private static String seconds(Duration duration) {
    return Double.toString(duration.toMillis() / 1e3);
  }

  /** A wait of this length is worth a word: 3 s, or half the patience where that is less. */
  Duration attention() {
    Duration three = Duration.ofSeconds(3);
    Duration half = patience.dividedBy(2);
    return half.compareTo(three) < 0 ? half : three;
  }
}
