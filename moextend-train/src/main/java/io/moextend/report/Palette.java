package io.moextend.report;

/** The colours of series; the style sheet holds them for light and dark. */
final class Palette {
  /** Classes {@code s0} to {@code s5}, each line with a dash pattern of its own. */
  static final int COLOURS = 6;

  private Palette() {}
}
