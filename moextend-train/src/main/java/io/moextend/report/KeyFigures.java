package io.moextend.report;

import java.util.List;

/** The few numbers one wants first, as tiles. */
public record KeyFigures(List<Figure> figures) implements Block {
  /**
   * @param value as it is to be shown, with its unit
   * @param note a word on it, or empty
   */
  public record Figure(String label, String value, String note) {}

  public KeyFigures {
    figures = List.copyOf(figures);
  }
}
