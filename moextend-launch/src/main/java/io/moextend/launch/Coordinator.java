package io.moextend.launch;

import io.moextend.comm.group.Line;
import io.moextend.comm.group.Message;
import io.moextend.comm.group.NodeDesk;
import io.moextend.comm.group.RendezvousServer;
import io.moextend.comm.group.RunningClock;
import java.time.Duration;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Decides for all hosts, in the launcher of host 0: when the ranks start, who failed, whether all
 * start again, and with which code the run ends. Acts on one thread.
 */
final class Coordinator {
  /** A rank that ends because another was lost is often seen before that other one. */
  private static final Duration SETTLE = Duration.ofSeconds(2);

  /** A rank that gives up has a code of its own, which says whether another try makes sense. */
  private static final Duration TO_END_ITSELF = Duration.ofSeconds(20);

  private static final Duration POLL = Duration.ofMillis(100);
  private static final Duration OVERDUE = Duration.ofSeconds(30);

  private final LaunchOptions options;
  private final Consumer<String> log;
  private final FrontDesk desk;
  private final RunningClock clock = new RunningClock();
  private final HostTable hosts;
  private Phase phase = Phase.GATHERING;
  private long phaseBegan;
  private int generation;
  private int restarts;
  private boolean leaving;
  private int leftCode;
  private @Nullable Failure failure;
  private @Nullable Failure suspected;
  private long suspectedAt;
  private Duration settle = SETTLE;

  private enum Phase {
    GATHERING,
    RUNNING,
    STOPPING,
    OVER
  }

  /** Why a generation ended. */
  private record Failure(int rank, int code, String why, boolean told) {}

  Coordinator(LaunchOptions options, Consumer<String> log) {
    this.options = options;
    this.log = log;
    this.desk = new FrontDesk(options.hosts().count());
    this.hosts = new HostTable(options.hosts().count());
  }

  /** Where launchers and the rendezvous leave their news. */
  NodeDesk desk() {
    return desk;
  }

  /** Until the run is over. */
  void run(RendezvousServer server) {
    long beats = 0;
    try {
      while (phase != Phase.OVER) {
        FrontDesk.Event event = desk.next(POLL);
        clock.tick();
        if (event != null) {
          on(event, server);
        }
        if (clock.nanos() / 1_000_000_000 > beats) {
          beats = clock.nanos() / 1_000_000_000;
          hosts.tellAll(new Message.Pulse());
          hosts
              .silent(clock.nanos(), options.limits().patience())
              .forEach(h -> lost(h.node(), "it gave no sign of life", server));
        }
        look(server);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException e) {
      finish(1, "the launcher failed, which is a fault of ours: " + e);
    }
  }

  /** Lets the other launchers have what was said to them. */
  void close(Thread deciding) {
    try {
      deciding.join(Duration.ofSeconds(2));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    desk.hangUp();
  }

  private void on(FrontDesk.Event event, RendezvousServer server) {
    switch (event) {
      case FrontDesk.Event.Joined(Message.JoinNode node, Line line) -> {
        hosts.add(node, line, clock.nanos());
        if (options.hosts().count() > 1) {
          log.accept(
              "node %d (%s, %d ranks) has come, %d of %d"
                  .formatted(node.node(), node.host(), node.ranks(), hosts.size(), hosts.wanted()));
        }
      }
      case FrontDesk.Event.Said(int node, Line line, Message message) -> {
        if (hosts.heard(node, line, clock.nanos())) {
          said(node, message);
        }
      }
      case FrontDesk.Event.Left(int node, Line line, String why) -> {
        if (hosts.isLineOf(node, line)) {
          lost(node, why, server);
        }
      }
      case FrontDesk.Event.Broke(int broken, int rank, String why, boolean itself) -> {
        if (phase == Phase.RUNNING && broken == generation) {
          Duration settle = itself ? TO_END_ITSELF : SETTLE;
          suspect(new Failure(rank, ExitCodes.PEER_LOST, why, !itself), settle);
        }
      }
    }
  }

  private void said(int node, Message message) {
    switch (message) {
      case Message.RankEnded end when end.generation() == generation -> ended(node, end);
      case Message.NodeIdle(int idle) when idle == generation -> hosts.idle(node);
      case Message.StopWanted() -> leaving = true;
      default -> {}
    }
  }

  private void ended(int node, Message.RankEnded end) {
    boolean good = ExitCodes.isGood(end.code());
    if (phase == Phase.STOPPING && failure == null || good) {
      if (ExitCodes.isGood(leftCode) && (!good || end.code() > leftCode)) {
        leftCode = end.code();
      }
    } else if (phase == Phase.RUNNING) {
      var found = new Failure(end.rank(), end.code(), ExitCodes.told(end, node), false);
      if (end.code() == ExitCodes.PEER_LOST) {
        suspect(found, SETTLE);
      } else {
        suspected = found;
        suspectedAt = Long.MIN_VALUE / 2;
      }
    }
  }

  /** Somebody says that another is lost; who that is may yet be seen. */
  private void suspect(Failure found, Duration within) {
    if (suspected == null) {
      suspected = found;
      suspectedAt = clock.nanos();
      settle = within;
    }
  }

  private void lost(int node, String why, RendezvousServer server) {
    HostTable.Host host = hosts.remove(node);
    desk.release(node);
    if (host == null || phase == Phase.OVER) {
      return;
    }
    host.line().send(new Message.Finish(ExitCodes.PEER_LOST, "node 0 had lost this host"));
    String text = "node %d (%s) is lost: %s".formatted(node, host.name(), why);
    if (phase == Phase.RUNNING) {
      suspected = new Failure(host.firstRank(), ExitCodes.PEER_LOST, text, false);
      suspectedAt = Long.MIN_VALUE / 2;
    } else {
      log.accept(text);
    }
  }

  private void look(RendezvousServer server) {
    switch (phase) {
      case GATHERING -> gather(server);
      case RUNNING -> watch(server);
      case STOPPING -> {
        if (hosts.allIdle()) {
          decide();
        } else if (clock.nanos() - phaseBegan
            > options.grace().plus(NodeAgent.SHORT_GRACE).plus(OVERDUE).toNanos()) {
          hosts.busy().forEach(h -> lost(h.node(), "it did not end its ranks", server));
        }
      }
      case OVER -> {}
    }
  }

  private void gather(RendezvousServer server) {
    if (leaving) {
      finish(128 + 15, "told to leave before the ranks had started");
    } else if (hosts.complete()) {
      int world = hosts.number();
      server.begin(generation, world);
      hosts.start(generation, world);
      failure = null;
      suspected = null;
      leftCode = 0;
      enter(Phase.RUNNING);
    } else if (clock.nanos() - phaseBegan > options.limits().join().toNanos()) {
      finish(
          ExitCodes.PEER_LOST,
          "%s did not come within %d s; is its launcher running, with this --master-addr, --master-port and token?"
              .formatted(hosts.missing(), options.limits().join().toSeconds()));
    }
  }

  private void watch(RendezvousServer server) {
    Failure found = suspected;
    if (leaving) {
      server.stopWanted();
      stop(options.grace(), "told to leave");
    } else if (found != null
        && (hosts.allIdle() || clock.nanos() - suspectedAt > settle.toNanos())) {
      failure = found;
      if (!found.told) {
        log.accept(found.why);
      }
      server.abort(generation, found.rank, firstLine(found.why));
      Duration grace = options.grace();
      boolean less = NodeAgent.SHORT_GRACE.compareTo(grace) < 0;
      stop(less ? NodeAgent.SHORT_GRACE : grace, firstLine(found.why));
    } else if (hosts.allIdle()) {
      finish(leftCode, "");
    }
  }

  private void stop(Duration grace, String why) {
    hosts.tellAll(new Message.StopRanks(generation, grace.toMillis(), why));
    enter(Phase.STOPPING);
  }

  /** All ranks of the generation have ended. */
  private void decide() {
    Failure why = failure;
    if (why == null) {
      finish(leftCode, "");
    } else if (!leaving
        && ExitCodes.isWorthAnotherTry(why.code)
        && restarts < options.maxRestarts()) {
      restarts++;
      generation++;
      log.accept(
          "all ranks start again: generation %d, restart %d of %d"
              .formatted(generation, restarts, options.maxRestarts()));
      enter(Phase.GATHERING);
    } else {
      String restarted =
          options.maxRestarts() > 0 && ExitCodes.isWorthAnotherTry(why.code)
              ? "; no restart is left of %d".formatted(options.maxRestarts())
              : "";
      finish(why.code, "the run ends with code %d%s".formatted(why.code, restarted));
    }
  }

  private void enter(Phase next) {
    phase = next;
    phaseBegan = clock.nanos();
  }

  private void finish(int code, String why) {
    if (!why.isEmpty()) {
      log.accept(why);
    }
    Failure failed = failure;
    hosts.tellAll(
        new Message.Finish(
            code,
            failed == null ? why : firstLine(failed.why) + (why.isEmpty() ? "" : "; " + why)));
    phase = Phase.OVER;
  }

  private static String firstLine(String text) {
    int end = text.indexOf('\n');
    return end < 0 ? text : text.substring(0, end);
  }
}
