package io.moextend.report;

/** How a value is written. */
public enum Unit {
  /** As it is. */
  NUMBER,
  /** A share of 1, in percent. */
  PERCENT,
  /** A difference of shares, in percentage points with its sign. */
  POINTS;

  String format(double value) {
    return switch (this) {
      case NUMBER -> Numbers.compact(value);
      case PERCENT -> Numbers.fixed(100 * value, 1) + " %";
      case POINTS -> Numbers.signed(100 * value, 1) + " pp";
    };
  }

  /** The same without the unit, where it stands beside. */
  String bare(double value) {
    return switch (this) {
      case NUMBER -> Numbers.compact(value);
      case PERCENT -> Numbers.fixed(100 * value, 1);
      case POINTS -> Numbers.signed(100 * value, 1);
    };
  }
}
