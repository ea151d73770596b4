package io.moextend.cli;

import io.moextend.stage.RoutingCounter;
import java.io.Console;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;

/** How far counting is: samples, rate, time left; one line written over on a terminal. */
final class SampleProgress implements RoutingCounter.Listener {
  private static final Duration BETWEEN_LINES = Duration.ofSeconds(10);
  private static final Duration BETWEEN_UPDATES = Duration.ofMillis(200);
  private static final double NANOS = 1e9;

  private final PrintWriter out;
  private final boolean terminal;
  private final String what;
  private final long total;
  private final long start;
  private long shownAt;
  private int shown;
  private long samples;
  private long tokens;

  /**
   * @param what is counted, the first word of the line
   * @param total samples to come
   */
  SampleProgress(PrintWriter out, String what, long total) {
    this.out = out;
    this.what = what;
    this.total = total;
    Console console = System.console();
    this.terminal = console != null && console.isTerminal();
    this.start = System.nanoTime();
    this.shownAt = start;
  }

  @Override
  public void counted(int moreSamples, long moreTokens) {
    samples += moreSamples;
    tokens += moreTokens;
    long now = System.nanoTime();
    Duration between = terminal ? BETWEEN_UPDATES : BETWEEN_LINES;
    if (samples == total || now - shownAt >= between.toNanos()) {
      show(line((now - start) / NANOS));
      shownAt = now;
    }
  }

  private void show(String line) {
    if (terminal) {
      out.print("\r" + line + " ".repeat(Math.max(0, shown - line.length())));
      shown = line.length();
      if (samples == total) {
        out.println();
      }
    } else {
      out.println(line);
    }
    out.flush();
  }

  private String line(double seconds) {
    double rate = samples / Math.max(seconds, 1 / NANOS);
    long left = Math.round((total - samples) / rate);
    return String.format(
        Locale.ROOT,
        "%s: %d/%d samples  %.1f samples/s  %.0f tokens/s  %d:%02d:%02d left",
        what,
        samples,
        total,
        rate,
        tokens / Math.max(seconds, 1 / NANOS),
        left / 3600,
        left / 60 % 60,
        left % 60);
  }
}
