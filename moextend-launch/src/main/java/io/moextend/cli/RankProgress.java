package io.moextend.cli;

import io.moextend.eval.RankExamination;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;

/** How far a rank classification is: a line now and then. */
final class RankProgress implements RankExamination.Listener {
  private static final Duration BETWEEN_LINES = Duration.ofSeconds(10);
  private static final double NANOS = 1e9;

  private final PrintWriter out;
  private final long start = System.nanoTime();
  private long shownAt = start;

  RankProgress(PrintWriter out) {
    this.out = out;
  }

  @Override
  public void scored(int task, int tasks, String name, long choices) {
    long now = System.nanoTime();
    if (now - shownAt < BETWEEN_LINES.toNanos()) {
      return;
    }
    shownAt = now;
    out.printf(
        Locale.ROOT,
        "task %d/%d %s: %,d choices scored, %.1f choices/s%n",
        task,
        tasks,
        name,
        choices,
        choices / ((now - start) / NANOS));
    out.flush();
  }
}
