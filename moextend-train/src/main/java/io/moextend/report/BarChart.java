package io.moextend.report;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Bars from zero to the right, one or more a row, each with its value beside it.
 *
 * @param series names of a row's bars; one name for plain bars
 * @param referenceName what the mark across a row's bars is, e.g. "chance"; empty for none
 */
public record BarChart(
    String title, Unit unit, List<String> series, String referenceName, List<Bar> bars)
    implements Block {
  /**
   * @param values 0 or more, one for each series
   * @param reference where the mark stands, or null for none
   */
  public record Bar(String label, List<Double> values, @Nullable Double reference) {
    public Bar {
      values = List.copyOf(values);
    }

    public Bar(String label, double value) {
      this(label, List.of(value), null);
    }
  }

  public BarChart {
    series = List.copyOf(series);
    bars = List.copyOf(bars);
    if (series.isEmpty() || series.size() > Palette.COLOURS) {
      throw new IllegalArgumentException(
          "chart '%s' has %d series; 1 to %d can be told apart"
              .formatted(title, series.size(), Palette.COLOURS));
    }
    for (Bar bar : bars) {
      if (bar.values().size() != series.size()) {
        throw new IllegalArgumentException(
            "bar '%s' has %d values for %d series"
                .formatted(bar.label(), bar.values().size(), series.size()));
      }
      if (bar.values().stream().anyMatch(v -> !(v >= 0 && Double.isFinite(v)))) {
        throw new IllegalArgumentException(
            "bar '%s' of chart '%s': %s; bars start at 0 and are finite"
                .formatted(bar.label(), title, bar.values()));
      }
    }
  }
}
