package io.moextend.launch;

import io.moextend.comm.group.Line;
import io.moextend.comm.group.Message;
import java.time.Duration;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The hosts that have come, by their number. Of one thread. */
final class HostTable {
  private final int wanted;
  private final TreeMap<Integer, Host> hosts = new TreeMap<>();

  /** One of them. */
  static final class Host {
    private final Message.JoinNode card;
    private final Line line;
    private long lastHeard;
    private int firstRank;
    private boolean idle = true;

    Host(Message.JoinNode card, Line line, long now) {
      this.card = card;
      this.line = line;
      this.lastHeard = now;
    }

    int node() {
      return card.node();
    }

    String name() {
      return card.host();
    }

    Line line() {
      return line;
    }

    int firstRank() {
      return firstRank;
    }
  }

  HostTable(int wanted) {
    this.wanted = wanted;
  }

  void add(Message.JoinNode card, Line line, long now) {
    hosts.put(card.node(), new Host(card, line, now));
  }

  @Nullable Host remove(int node) {
    return hosts.remove(node);
  }

  int size() {
    return hosts.size();
  }

  int wanted() {
    return wanted;
  }

  boolean complete() {
    return hosts.size() == wanted;
  }

  boolean isLineOf(int node, Line line) {
    Host host = hosts.get(node);
    return host != null && host.line == line;
  }

  /** Notes a sign of life; false where the line is an old one. */
  boolean heard(int node, Line line, long now) {
    Host host = hosts.get(node);
    if (host == null || host.line != line) {
      return false;
    }
    host.lastHeard = now;
    return true;
  }

  List<Host> silent(long now, Duration patience) {
    return hosts.values().stream().filter(h -> now - h.lastHeard > patience.toNanos()).toList();
  }

  /** Ranks of all hosts. */
  int number() {
    return hosts.values().stream().mapToInt(h -> h.card.ranks()).sum();
  }

  /** Tells each which ranks are its own. */
  void start(int generation, int world) {
    int first = 0;
    for (Host host : hosts.values()) {
      host.firstRank = first;
      host.idle = false;
      host.line.send(new Message.Start(generation, world, first));
      first += host.card.ranks();
    }
  }

  void idle(int node) {
    Host host = hosts.get(node);
    if (host != null) {
      host.idle = true;
    }
  }

  boolean allIdle() {
    return busy().isEmpty();
  }

  List<Host> busy() {
    return hosts.values().stream().filter(h -> !h.idle).toList();
  }

  void tellAll(Message message) {
    hosts.values().forEach(h -> h.line.send(message));
  }

  /** As "nodes 1, 3". */
  String missing() {
    List<Integer> missing =
        IntStream.range(0, wanted).filter(n -> !hosts.containsKey(n)).boxed().toList();
    return (missing.size() == 1 ? "node " : "nodes ")
        + missing.stream().map(String::valueOf).collect(Collectors.joining(", "));
  }
}
