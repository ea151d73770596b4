package io.moextend.launch;

import io.moextend.comm.group.Message;

/** What the end of a command means, 0 being done, and of a rank. */
public final class ExitCodes {
  /** The fault is ours. */
  public static final int OURS = 1;

  /** The fault is the user's: a flag, a file. To start it again would not help. */
  public static final int USERS = 2;

  /** A check found something. */
  public static final int FOUND = 3;

  /** It was asked to leave, and did after a checkpoint. */
  public static final int LEFT = 4;

  /** Another rank was lost: not where the fault is. */
  public static final int PEER_LOST = 5;

  private static final int SIGNALS = 128;

  private ExitCodes() {}

  static boolean isGood(int code) {
    return code == 0 || code == LEFT;
  }

  static boolean isWorthAnotherTry(int code) {
    return code != USERS && !isGood(code);
  }

  /** As "rank 1 (pid 4711, node 0) was killed by signal 9; the last lines of its log: ...". */
  static String told(Message.RankEnded end, int node) {
    String how =
        end.pid() < 0
            ? "did not run"
            : end.code() > SIGNALS && end.code() <= SIGNALS + 64
                ? "was killed by signal %d".formatted(end.code() - SIGNALS)
                : "ended with code %d".formatted(end.code());
    String where =
        end.pid() < 0 ? "node %d".formatted(node) : "pid %d, node %d".formatted(end.pid(), node);
    String lines =
        end.lastLines().isEmpty()
            ? "it said nothing"
            : "the last lines of its log:\n  " + end.lastLines().replace("\n", "\n  ");
    return "rank %d (%s) %s; %s".formatted(end.rank(), where, how, lines);
  }
}
