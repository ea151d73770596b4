package io.moextend.comm.group;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The members of one generation of ranks, from the first that comes to the last that leaves.
 * Thread-safe.
 */
final class Roll {
  private final int generation;
  private final int world;
  private final GroupLimits limits;
  private final Consumer<String> log;
  private final RunningClock clock;
  private final Broken broken;
  private final long began;
  private final @Nullable Line[] lines;
  private final @Nullable Card[] cards;
  private final boolean[] left;
  private @Nullable Watchdog watchdog;
  private boolean stopWanted;
  private boolean over;

  /** Told once, when the generation is broken. */
  interface Broken {
    void broke(int generation, int rank, String why, boolean itself);
  }

  Roll(
      int generation,
      int world,
      GroupLimits limits,
      Consumer<String> log,
      RunningClock clock,
      Broken broken) {
    this.generation = generation;
    this.world = world;
    this.limits = limits;
    this.log = log;
    this.clock = clock;
    this.broken = broken;
    this.began = clock.nanos();
    this.lines = new Line[world];
    this.cards = new Card[world];
    this.left = new boolean[world];
  }

  int generation() {
    return generation;
  }

  /** Null where it is taken in. */
  synchronized Message.@Nullable Refused join(Message.JoinRank wish, Line line) {
    int rank = wish.card().rank();
    if (wish.generation() != generation) {
      return new Message.Refused(
          wish.generation() > generation,
          "rank %d is of generation %d, the group of generation %d"
              .formatted(rank, wish.generation(), generation));
    }
    if (wish.world() != world || rank >= world) {
      return new Message.Refused(
          false,
          "rank %d of a world of %d, but the group has %d ranks: WORLD_SIZE must be the same everywhere"
              .formatted(rank, wish.world(), world));
    }
    if (over) {
      return new Message.Refused(true, "generation %d is broken off".formatted(generation));
    }
    if (cards[rank] != null) {
      return new Message.Refused(
          false, "%s is in already; two processes have the same RANK".formatted(named(rank)));
    }
    lines[rank] = line;
    cards[rank] = wish.card();
    return null;
  }

  /** To be called when the line of a rank taken in has started: now it can be told things. */
  synchronized void joined() {
    if (!over && watchdog == null && missing().isEmpty()) {
      List<Card> all = members();
      watchdog = new Watchdog(all, limits, log, clock.nanos());
      all.forEach(card -> tellAll(new Message.Member(card)));
      tellAll(new Message.Ready());
      if (stopWanted) {
        tellAll(new Message.StopWanted());
      }
    }
  }

  synchronized void heard(int rank, Message message) {
    switch (message) {
      case Message.Beat(Doing doing) -> {
        if (watchdog != null) {
          watchdog.beat(rank, doing, clock.nanos());
        }
      }
      case Message.Pulse() -> {}
      case Message.StopWanted() -> stopWanted();
      case Message.Goodbye() -> {
        left[rank] = true;
        if (watchdog != null) {
          watchdog.left(rank);
        }
      }
      case Message.Failed(String why) -> abort(rank, why, true);
      case Message.JoinRank _,
          Message.JoinNode _,
          Message.Refused _,
          Message.Member _,
          Message.Ready _,
          Message.Abort _,
          Message.Start _,
          Message.RankEnded _,
          Message.NodeIdle _,
          Message.StopRanks _,
          Message.Finish _ ->
          abort(rank, "%s said %s, which no rank says".formatted(named(rank), message));
    }
  }

  synchronized void ended(int rank, String why) {
    lines[rank] = null;
    if (!left[rank]) {
      abort(
          rank,
          "%s is gone: %s, and it had not said goodbye; was it killed?"
              .formatted(named(rank), why));
    }
  }

  /** All ranks are asked to leave at the end of their step. */
  synchronized void stopWanted() {
    if (!stopWanted) {
      stopWanted = true;
      tellAll(new Message.StopWanted());
    }
  }

  synchronized void abort(int rank, String why) {
    abort(rank, why, false);
  }

  private void abort(int rank, String why, boolean itself) {
    if (over) {
      return;
    }
    over = true;
    tellAll(new Message.Abort(rank, why));
    broken.broke(generation, rank, why, itself);
  }

  /** Nobody of it is needed any more. */
  synchronized void dissolve() {
    over = true;
    for (Line line : lines) {
      if (line != null) {
        line.cut();
      }
    }
  }

  synchronized void tick() {
    tellAll(new Message.Pulse());
    if (over) {
      return;
    }
    if (watchdog != null) {
      watchdog.look(clock.nanos()).ifPresent(v -> abort(v.rank(), v.why()));
    } else if (clock.nanos() - began > limits.join().toNanos()) {
      List<Integer> missing = missing();
      abort(
          missing.getFirst(),
          "%s did not come within %d s (%d of %d ranks are here); look at their logs"
              .formatted(
                  (missing.size() == 1 ? "rank " : "ranks ")
                      + missing.toString().replaceAll("[\\[\\]]", ""),
                  limits.join().toSeconds(),
                  world - missing.size(),
                  world));
    }
  }

  /** Whether every member's connection is closed. */
  synchronized boolean empty() {
    for (Line line : lines) {
      if (line != null) {
        return false;
      }
    }
    return true;
  }

  private List<Integer> missing() {
    return IntStream.range(0, world).filter(rank -> cards[rank] == null).boxed().toList();
  }

  private List<Card> members() {
    var all = new ArrayList<Card>();
    for (Card card : cards) {
      all.add(Objects.requireNonNull(card));
    }
    return all;
  }

  private String named(int rank) {
    Card card = cards[rank];
    return card == null ? "rank " + rank : card.named();
  }

  private void tellAll(Message message) {
    for (Line line : lines) {
      if (line != null) {
        line.send(message);
      }
    }
  }
}
