package io.moextend.comm.group;

/** What ranks, launchers and the rendezvous say to each other. */
public sealed interface Message {
  /** A rank wants in. */
  record JoinRank(int world, int generation, Card card) implements Message {}

  /**
   * The launcher of another host wants in.
   *
   * @param nodes hosts of the run
   * @param ranks it will start
   */
  record JoinNode(int node, int nodes, int ranks, long pid, String host) implements Message {}

  /**
   * Not taken in.
   *
   * @param later whether it makes sense to try again
   */
  record Refused(boolean later, String why) implements Message {}

  /** Of one member, to each of them; {@link Ready} follows the last. */
  record Member(Card card) implements Message {}

  /** All are here. */
  record Ready() implements Message {}

  /** What a rank does, every second. */
  record Beat(Doing doing) implements Message {}

  /** Nothing but a sign of life, every second. */
  record Pulse() implements Message {}

  /** Somebody was told to leave: all do at the end of their step. */
  record StopWanted() implements Message {}

  /**
   * The group is broken.
   *
   * @param rank that was lost; -1 where it is not known which
   */
  record Abort(int rank, String why) implements Message {}

  /** A rank has done all it had to do. */
  record Goodbye() implements Message {}

  /** A rank gives up and says why. */
  record Failed(String why) implements Message {}

  /** To a launcher: start your ranks. */
  record Start(int generation, int world, int firstRank) implements Message {}

  /**
   * From a launcher.
   *
   * @param code as a shell has it: 128 + the signal that killed it
   * @param lastLines of its log
   */
  record RankEnded(int generation, int rank, long pid, int code, String lastLines)
      implements Message {}

  /** From a launcher: none of its ranks runs any more. */
  record NodeIdle(int generation) implements Message {}

  /**
   * To a launcher: end your ranks, with SIGTERM first and SIGKILL after the grace.
   *
   * @param graceMillis for those that write a checkpoint
   */
  record StopRanks(int generation, long graceMillis, String why) implements Message {}

  /** To a launcher: end yourself. */
  record Finish(int code, String why) implements Message {}
}
