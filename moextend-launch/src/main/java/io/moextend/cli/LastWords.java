package io.moextend.cli;

import io.moextend.launch.ExitCodes;
import java.time.Duration;

/**
 * The end of a rank whose group is broken. A call to the other ranks throws at once and the command
 * ends in order; a rank that is deep in a computation, or hangs, is ended here.
 */
final class LastWords {
  private static final Duration TO_END_IN_ORDER = Duration.ofSeconds(10);

  private LastWords() {}

  /** Ends the process some seconds from now, if it has not ended until then. */
  static void soon(int rank, String why) {
    Thread.ofPlatform()
        .daemon()
        .name("last words")
        .start(
            () -> {
              try {
                Thread.sleep(TO_END_IN_ORDER);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              System.err.println("moextend: rank " + rank + " ends: " + why);
              System.err.flush();
              Runtime.getRuntime().halt(ExitCodes.PEER_LOST);
            });
  }
}
