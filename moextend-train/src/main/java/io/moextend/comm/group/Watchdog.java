package io.moextend.comm.group;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Knows what each rank does from its heartbeats, and says who waits in which call for whom. A rank
 * that is silent is blamed after the patience; one that is alive and computes only when the others
 * have waited longer than a collective call may take. Not thread-safe; time comes from outside.
 */
final class Watchdog {
  /** Heartbeats come every second; so many seconds without one are worth naming. */
  private static final Duration SILENT = Duration.ofMillis(2500);

  private final GroupLimits limits;
  private final Consumer<String> log;
  private final Seen[] ranks;
  private @Nullable Stall stall;

  private static final class Seen {
    final Card card;
    long lastBeat;
    Doing doing = Doing.NOTHING;
    boolean left;

    Seen(Card card, long now) {
      this.card = card;
      this.lastBeat = now;
    }

    Duration silence(long now) {
      return Duration.ofNanos(now - lastBeat);
    }

    boolean silent(long now) {
      return !left && silence(now).compareTo(SILENT) > 0;
    }

    /** Since it entered or left its call, as of now. */
    Duration since(long now) {
      return doing.since().plus(silence(now));
    }
  }

  /** A wait that was reported. */
  private record Stall(long sequence, Duration nextReport) {}

  /** The verdict over a group that cannot go on. */
  record Verdict(int rank, String why) {}

  /**
   * @param cards of all, by rank
   */
  Watchdog(List<Card> cards, GroupLimits limits, Consumer<String> log, long now) {
    this.limits = limits;
    this.log = log;
    this.ranks = cards.stream().map(card -> new Seen(card, now)).toArray(Seen[]::new);
  }

  void beat(int rank, Doing doing, long now) {
    ranks[rank].doing = doing;
    ranks[rank].lastBeat = now;
  }

  /** The rank has done all it had to do. */
  void left(int rank) {
    ranks[rank].left = true;
  }

  /** Looks; reports a wait when it is 3 s long, 6, 12 and so on. */
  Optional<Verdict> look(long now) {
    List<Integer> waiting = new ArrayList<>();
    for (int rank = 0; rank < ranks.length; rank++) {
      if (waits(rank, now)) {
        waiting.add(rank);
      }
    }
    if (waiting.isEmpty()) {
      over(now);
      return Optional.empty();
    }
    Duration longest =
        waiting.stream()
            .map(r -> ranks[r].since(now))
            .max(Duration::compareTo)
            .orElse(Duration.ZERO);
    Set<Integer> causes = causes(waiting, now);
    report(waiting, causes, longest, now);
    return verdict(waiting, causes, longest, now);
  }

  private boolean waits(int rank, long now) {
    Seen seen = ranks[rank];
    return seen.doing.inCall()
        && !seen.left
        && !seen.silent(now)
        && seen.since(now).compareTo(limits.attention()) >= 0;
  }

  /** Those at the end of each chain of who waits for whom; of a ring, those in it. */
  private Set<Integer> causes(List<Integer> waiting, long now) {
    var causes = new LinkedHashSet<Integer>();
    for (int rank : waiting) {
      var passed = new LinkedHashSet<Integer>();
      int at = rank;
      while (passed.add(at) && !ranks[at].left && !ranks[at].silent(now)) {
        Doing doing = ranks[at].doing;
        if (!doing.inCall() || doing.peer() < 0 || doing.peer() >= ranks.length) {
          break;
        }
        at = doing.peer();
      }
      if (at != rank || ranks[rank].doing.peer() >= 0) {
        causes.add(at);
      }
    }
    return causes;
  }

  private void report(List<Integer> waiting, Set<Integer> causes, Duration longest, long now) {
    long sequence = ranks[waiting.getFirst()].doing.sequence();
    if (stall == null || stall.sequence != sequence) {
      stall = new Stall(sequence, limits.attention());
    }
    if (longest.compareTo(stall.nextReport) >= 0) {
      log.accept(text(waiting, causes, longest, now));
      stall = new Stall(sequence, longest.multipliedBy(2));
    }
  }

  private void over(long now) {
    if (stall == null) {
      return;
    }
    for (Seen seen : ranks) {
      if (!seen.left && seen.silent(now)) {
        return;
      }
    }
    log.accept("call %d went on".formatted(stall.sequence));
    stall = null;
  }

  private Optional<Verdict> verdict(
      List<Integer> waiting, Set<Integer> causes, Duration longest, long now) {
    for (int rank : causes) {
      Seen seen = ranks[rank];
      boolean lost =
          seen.left
              ? longest.compareTo(limits.patience()) > 0
              : seen.silent(now) && seen.silence(now).compareTo(limits.patience()) > 0;
      if (lost) {
        return Optional.of(new Verdict(rank, text(waiting, causes, longest, now)));
      }
    }
    if (longest.compareTo(limits.collective()) > 0) {
      return Optional.of(
          new Verdict(
              causes.isEmpty() ? -1 : causes.iterator().next(),
              text(waiting, causes, longest, now)
                  + "; no call may take longer than %d s (--collective-timeout)"
                      .formatted(limits.collective().toSeconds())));
    }
    return Optional.empty();
  }

  /** One line: who waits where for how long, and what is known of those they wait for. */
  private String text(List<Integer> waiting, Set<Integer> causes, Duration longest, long now) {
    List<Integer> inFirst = new ArrayList<>();
    Doing first = ranks[waiting.getFirst()].doing;
    var others = new StringBuilder();
    for (int rank : waiting) {
      Doing doing = ranks[rank].doing;
      if (doing.sequence() == first.sequence()) {
        inFirst.add(rank);
      } else {
        others.append(", rank %d in %s".formatted(rank, doing.call()));
      }
    }
    List<Integer> awaited = causes.stream().filter(rank -> !waiting.contains(rank)).toList();
    String who = awaited.isEmpty() ? "" : " for " + names(awaited);
    var text =
        new StringBuilder(
            "%s: %s waited %d s%s%s"
                .formatted(
                    first.call(),
                    names(inFirst) + (inFirst.size() == 1 ? " has" : " have"),
                    longest.toSeconds(),
                    who,
                    others));
    causes.stream().limit(4).forEach(rank -> text.append("; ").append(known(rank, now)));
    return text.toString();
  }

  private String known(int rank, long now) {
    Seen seen = ranks[rank];
    String name = seen.card.named();
    if (seen.left) {
      return name + " has said goodbye and left";
    }
    if (seen.silent(now)) {
      return "%s gave no sign of life for %d s: stopped, or cut off?"
          .formatted(name, seen.silence(now).toSeconds());
    }
    Doing doing = seen.doing;
    if (doing.inCall()) {
      return "%s is alive and has been in %s for %d s%s"
          .formatted(
              name,
              doing.call(),
              seen.since(now).toSeconds(),
              doing.peer() < 0 ? "" : ", waiting for rank " + doing.peer());
    }
    return "%s is alive and computing for %d s, %s"
        .formatted(
            name,
            seen.since(now).toSeconds(),
            doing.sequence() == 0 ? "no call yet" : "its last was " + doing.call());
  }

  private static String names(List<Integer> ranks) {
    if (ranks.size() == 1) {
      return "rank " + ranks.getFirst();
    }
    int shown = Math.min(ranks.size(), 8);
    String most =
        ranks.subList(0, shown - 1).stream().map(String::valueOf).collect(Collectors.joining(", "));
    return "ranks %s and %s"
        .formatted(
            most, shown < ranks.size() ? (ranks.size() - shown + 1) + " more" : ranks.getLast());
  }
}
