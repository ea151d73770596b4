package io.moextend.launch;

import io.moextend.comm.group.Line;
import io.moextend.comm.group.Message;
import io.moextend.comm.group.NodeDesk;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Takes in the launchers of all hosts and notes what comes from them, for one thread to act on. */
final class FrontDesk implements NodeDesk {
  private final int nodes;
  private final LinkedBlockingQueue<Event> events = new LinkedBlockingQueue<>();
  private final ConcurrentHashMap<Integer, Line> admitted = new ConcurrentHashMap<>();

  /** What happened, in its order. */
  sealed interface Event {
    record Joined(Message.JoinNode node, Line line) implements Event {}

    record Said(int node, Line line, Message message) implements Event {}

    record Left(int node, Line line, String why) implements Event {}

    record Broke(int generation, int rank, String why, boolean itself) implements Event {}
  }

  /**
   * @param nodes hosts of the run
   */
  FrontDesk(int nodes) {
    this.nodes = nodes;
  }

  @Override
  public Message.@Nullable Refused joins(Message.JoinNode node, Line line) {
    if (node.nodes() != nodes || node.node() < 0 || node.node() >= nodes || node.ranks() < 1) {
      return new Message.Refused(
          false,
          "it is node %d of %d with %d ranks, but --nnodes is %d here"
              .formatted(node.node(), node.nodes(), node.ranks(), nodes));
    }
    if (admitted.putIfAbsent(node.node(), line) != null) {
      return new Message.Refused(
          false,
          "node %d is in already; two launchers have the same --node-rank".formatted(node.node()));
    }
    events.add(new Event.Joined(node, line));
    return null;
  }

  @Override
  public void says(int node, Line line, Message message) {
    events.add(new Event.Said(node, line, message));
  }

  @Override
  public void leaves(int node, Line line, String why) {
    events.add(new Event.Left(node, line, why));
  }

  @Override
  public void broke(int generation, int rank, String why, boolean itself) {
    events.add(new Event.Broke(generation, rank, why, itself));
  }

  /** Null where nothing happened for so long. */
  @Nullable Event next(Duration wait) throws InterruptedException {
    return events.poll(wait.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** The host is lost: its launcher may come again. */
  void release(int node) {
    admitted.remove(node);
  }

  /** Hangs up on all, once each has had what was said to it. */
  void hangUp() {
    admitted.values().forEach(Line::close);
  }
}
