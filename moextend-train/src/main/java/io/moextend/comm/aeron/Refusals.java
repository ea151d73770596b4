package io.moextend.comm.aeron;

import java.util.EnumMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/** Counts what is dropped, and says each kind of it once for each sender. Thread-safe. */
final class Refusals {
  /** Why something was dropped. */
  enum Kind {
    NOT_AERON("datagrams that are no Aeron data"),
    UNKNOWN_ADDRESS("datagrams from an address that no rank sending to this one has"),
    UNKNOWN_STREAM("datagrams of a stream that is not of this run and generation; other token?"),
    WRONG_SIZES("stream openings with other sizes than this run's; are MTU and window the same?"),
    GARBAGE("frames that are none of ours"),
    OTHER_GENERATION("frames of another generation"),
    MISADDRESSED("frames between two other ranks"),
    OVERSIZE("frames of a wrong length"),
    REPLAYED("frames that came before"),
    FORGED("frames with a wrong tag; other token, or changed on the way");

    private final String words;

    Kind(String words) {
      this.words = words;
    }
  }

  /** So that forged addresses fill neither memory nor log. */
  private static final int MOST_REPORTS = 64;

  private final int rank;
  private final Consumer<String> report;
  private final Map<Kind, Long> counts = new EnumMap<>(Kind.class);
  private final Set<String> said = new HashSet<>();

  Refusals(int rank, Consumer<String> report) {
    this.rank = rank;
    this.report = report;
  }

  /**
   * @param sender without a port, as "rank 2" or an address
   */
  synchronized void add(Kind kind, String sender) {
    counts.merge(kind, 1L, Long::sum);
    if (said.size() < MOST_REPORTS && said.add(kind + " " + sender)) {
      report.accept("rank %d drops what %s sends: %s".formatted(rank, sender, kind.words));
    }
  }

  synchronized Map<Kind, Long> counts() {
    return Map.copyOf(counts);
  }
}
