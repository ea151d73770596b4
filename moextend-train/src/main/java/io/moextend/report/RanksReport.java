package io.moextend.report;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** How several ranks shared a run: what each held, and what talking to each other took. */
public final class RanksReport {
  private static final double MEGABYTE = 1e6;

  /** To be said beside what was waited for. */
  public static final String HAND_OVER =
      "What is waited for counts the hand-over between a rank's threads: where cores are short it may be more than the exchanges themselves.";

  private RanksReport() {}

  /**
   * What the first rank's exchanges with the others took.
   *
   * @param seconds in exchanges, whatever else went on
   * @param exposedSeconds in which the rank did nothing but wait for them; with the hand-over
   *     between its threads, so that it may be more than {@code seconds} where cores are short
   * @param stepSeconds of all steps
   */
  public record Exchanges(double seconds, double exposedSeconds, double stepSeconds) {
    public static Exchanges of(MetricsHistory log) {
      return new Exchanges(
          log.total("communication_s"), log.total("communication_exposed_s"), log.total("step_s"));
    }

    /** What was waited for to what was exchanged, 0 where nothing was. */
    public double exposedShare() {
      return seconds == 0 ? 0 : exposedSeconds / seconds;
    }

    /** Part of the steps that was spent waiting. */
    public double shareOfSteps() {
      return stepSeconds == 0 ? 0 : exposedSeconds / stepSeconds;
    }
  }

  /** Most megabytes each rank's backend had given out, in the order of ranks. */
  public static List<String> megabytes(MetricsHistory log) {
    return log.lastList("memory_per_rank").stream()
        .map(bytes -> Numbers.fixed(bytes / MEGABYTE, 1))
        .toList();
  }

  /**
   * @param zeroStage 0 to 3
   * @param transport in words
   */
  public static Section section(MetricsHistory log, int ranks, int zeroStage, String transport) {
    Exchanges exchanges = Exchanges.of(log);
    var figures = new ArrayList<KeyFigures.Figure>();
    figures.add(new KeyFigures.Figure("Ranks", Integer.toString(ranks), "over " + transport));
    figures.add(
        new KeyFigures.Figure("ZeRO stage", Integer.toString(zeroStage), sharded(zeroStage)));
    figures.add(
        new KeyFigures.Figure(
            "Exchanges", Numbers.fixed(exchanges.seconds(), 1) + " s", "of rank 0, all steps"));
    figures.add(
        new KeyFigures.Figure(
            "Exposed",
            percent(exchanges.exposedShare()),
            "waited for, as a part of the exchanges: %s s, %s of the steps"
                .formatted(
                    Numbers.fixed(exchanges.exposedSeconds(), 1),
                    percent(exchanges.shareOfSteps()))));
    List<String> megabytes = megabytes(log);
    return Section.of(
        "Ranks",
        new KeyFigures(figures),
        new Paragraph(HAND_OVER),
        new Table(
            "Memory of each rank",
            List.of(Table.Column.words("Rank"), Table.Column.numbers("Peak of arrays, MB")),
            IntStream.range(0, megabytes.size())
                .mapToObj(rank -> List.of("rank " + rank, megabytes.get(rank)))
                .toList()));
  }

  private static String sharded(int zeroStage) {
    return switch (zeroStage) {
      case 0 -> "every rank holds everything";
      case 1 -> "each rank holds its share of the optimizer's state";
      case 2 -> "each rank holds its share of the optimizer's state and of gradients";
      default -> "each rank holds its share of state, gradients and weights";
    };
  }

  private static String percent(double share) {
    return Numbers.fixed(100 * share, 1) + " %";
  }
}
