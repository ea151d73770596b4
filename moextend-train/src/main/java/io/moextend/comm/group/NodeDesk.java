package io.moextend.comm.group;

import org.jspecify.annotations.Nullable;

/**
 * Who talks with the launchers of the hosts, and is told of broken groups. Called on several
 * threads; must not block.
 */
public interface NodeDesk {
  /** Takes a host in: null; or says why not. */
  Message.@Nullable Refused joins(Message.JoinNode node, Line line);

  void says(int node, Line line, Message message);

  void leaves(int node, Line line, String why);

  /**
   * @param rank that was lost; -1 where it is not known which
   * @param itself the rank said so, and is about to end with a code and words of its own
   */
  void broke(int generation, int rank, String why, boolean itself);

  /** Of a rendezvous without launchers. */
  static NodeDesk none() {
    return new NodeDesk() {
      @Override
      public Message.Refused joins(Message.JoinNode node, Line line) {
        return new Message.Refused(
            false, "no launcher is expected here: rank 0 was started by other means");
      }

      @Override
      public void says(int node, Line line, Message message) {}

      @Override
      public void leaves(int node, Line line, String why) {}

      @Override
      public void broke(int generation, int rank, String why, boolean itself) {}
    };
  }
}
