package io.moextend.train;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;

/** How far a run is, for who watches it: step, losses, rate, time left. */
public final class Progress implements TrainingListener {
  /** Where it is shown; who starts the program knows. */
  public enum Display {
    /** Nothing at all. */
    QUIET,
    /** A line every so many steps: files, pipes, CI. */
    LINES,
    /** One line that is written over, on a terminal. */
    TERMINAL
  }

  private static final double MEMORY = 0.9; // of the mean step time, so that it follows changes

  private final PrintStream out;
  private final Display display;
  private final int steps;
  private final int loggingSteps;
  private double stepSeconds;
  private int shown;

  /**
   * @param steps of the whole run
   * @param loggingSteps steps between two {@link Display#LINES}
   */
  public Progress(PrintStream out, Display display, int steps, int loggingSteps) {
    this.out = out;
    this.display = display;
    this.steps = steps;
    this.loggingSteps = loggingSteps;
  }

  @Override
  public void started(int done) {
    if (done > 0) {
      note("going on after step " + done);
    }
  }

  @Override
  public void stepped(StepReport report) {
    stepSeconds =
        stepSeconds == 0
            ? report.seconds()
            : MEMORY * stepSeconds + (1 - MEMORY) * report.seconds();
    String line = line(report);
    switch (display) {
      case QUIET -> {}
      case LINES -> {
        if (report.step() % loggingSteps == 0 || report.step() == steps) {
          out.println(line);
        }
      }
      case TERMINAL -> {
        out.print("\r" + line + " ".repeat(Math.max(0, shown - line.length())));
        out.flush();
        shown = line.length();
      }
    }
  }

  private String line(StepReport report) {
    String line =
        String.format(
            Locale.ROOT,
            "step %d/%d  loss %.4f  grad norm %.3f  rate %.2e  %.0f tokens/s  %s left",
            report.step(),
            steps,
            report.losses().loss(),
            report.gradientNorm(),
            report.learningRate(),
            report.tokensPerSecond(),
            clock((long) (stepSeconds * (steps - report.step()))));
    return report.untrainedBatches() == 0
        ? line
        : line + "  (%d batches had nothing to train)".formatted(report.untrainedBatches());
  }

  private static String clock(long seconds) {
    return seconds < 3600
        ? "%d:%02d".formatted(seconds / 60, seconds % 60)
        : "%d:%02d:%02d".formatted(seconds / 3600, seconds / 60 % 60, seconds % 60);
  }

  @Override
  public void evaluated(int step, Losses losses) {
    note(String.format(Locale.ROOT, "step %d: evaluation loss %.4f", step, losses.loss()));
  }

  @Override
  public void saved(int step, Path checkpoint) {
    note("step %d: saved %s".formatted(step, checkpoint));
  }

  @Override
  public void ended() {
    endLine();
  }

  private void note(String text) {
    if (display != Display.QUIET) {
      endLine();
      out.println(text);
    }
  }

  private void endLine() {
    if (shown > 0) {
      out.println();
      shown = 0;
    }
  }
}
