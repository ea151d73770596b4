package io.moextend.report;

import java.util.List;

/**
 * Lines over a common axis. Values that are no numbers leave a gap; so do values of 0 and less on a
 * logarithmic axis, and the chart says how many.
 */
public record LineChart(
    String title, String xLabel, String yLabel, Scale scale, List<Series> series) implements Block {
  /** How y is drawn. */
  public enum Scale {
    LINEAR,
    LOG
  }

  /** A value at a place. */
  public record Point(double x, double y) {}

  /** How a line is drawn. */
  public enum Stroke {
    FULL,
    /** Grey and thin: what a full line is the mean of. */
    FAINT
  }

  /** Points in the order of x. */
  public record Series(String name, List<Point> points, Stroke stroke) {
    public Series {
      points = List.copyOf(points);
    }

    public Series(String name, List<Point> points) {
      this(name, points, Stroke.FULL);
    }
  }

  public LineChart {
    series = List.copyOf(series);
    if (series.size() > Palette.COLOURS) {
      throw new IllegalArgumentException(
          "chart '%s' has %d lines; more than %d cannot be told apart, make two charts"
              .formatted(title, series.size(), Palette.COLOURS));
    }
  }
}
