package io.moextend.train;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.config.ConfigException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Work that succeeds on every rank or fails on every rank: without it, a rank whose disk is full
 * would stop, and the others would wait for it.
 */
final class Together {
  private static final int LONGEST_MESSAGE = 600;

  private final Peers peers;

  Together(Peers peers) {
    this.peers = peers;
  }

  /**
   * @param what is done, for who looks after ranks that wait
   * @param own this rank's part; exchanges nothing with other ranks
   * @throws CheckpointException where it failed on another rank; the message names the rank and has
   *     that rank's own
   */
  <T> T call(String what, Supplier<T> own) {
    T result = null;
    RuntimeException failure = null;
    try {
      result = own.get();
    } catch (RuntimeException e) {
      failure = e;
    }
    requireAll(what, failure);
    if (result == null) {
      throw new IllegalStateException(what + " gave nothing");
    }
    return result;
  }

  void run(String what, Runnable own) {
    call(
        what,
        () -> {
          own.run();
          return Boolean.TRUE;
        });
  }

  private void requireAll(String what, @Nullable RuntimeException own) {
    double[][] failed = peers.gather(what, own == null ? 0 : 1);
    int first = 0;
    while (first < failed.length && failed[first][0] == 0) {
      first++;
    }
    if (first == failed.length) {
      return;
    }
    double[][] messages = peers.gather("why that failed: " + what, letters(own));
    if (own != null && (peers.world() == 1 || !isUsers(own))) {
      throw own;
    }
    throw new CheckpointException("rank %d: %s".formatted(first, text(messages[first])), own);
  }

  /** Of faults of ours the trace counts, and where it comes from. */
  private static boolean isUsers(RuntimeException failure) {
    return failure instanceof CheckpointException || failure instanceof ConfigException;
  }

  private static double[] letters(@Nullable RuntimeException failure) {
    double[] letters = new double[LONGEST_MESSAGE];
    String message = failure == null ? "" : String.valueOf(failure.getMessage());
    for (int i = 0; i < Math.min(message.length(), LONGEST_MESSAGE); i++) {
      letters[i] = message.charAt(i);
    }
    return letters;
  }

  private static String text(double[] letters) {
    var text = new StringBuilder();
    for (double letter : letters) {
      if (letter != 0) {
        text.append((char) letter);
      }
    }
    return text.toString();
  }
}
