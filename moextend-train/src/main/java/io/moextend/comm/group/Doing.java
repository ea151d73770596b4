package io.moextend.comm.group;

import java.time.Duration;

/**
 * What a rank does with the others.
 *
 * @param sequence of the collective call it is in, or was in last; 0 = none yet
 * @param operation with what it is for
 * @param inCall false: it computes, the call is over
 * @param since it entered or left the call
 * @param peer the rank it waits for; -1 = none known
 */
record Doing(long sequence, String operation, boolean inCall, Duration since, int peer) {
  static final Doing NOTHING = new Doing(0, "", false, Duration.ZERO, -1);

  /** As "call 17, all-reduce (gradients)". */
  String call() {
    return "call %d, %s".formatted(sequence, operation);
  }
}
