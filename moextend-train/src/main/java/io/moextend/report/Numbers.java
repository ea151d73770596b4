package io.moextend.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;

/** Numbers as a reader wants them; always with a point, whatever the machine's language. */
public final class Numbers {
  private static final String MINUS = "\u2212";

  private Numbers() {}

  /** Three significant digits, with k, M, G or T where large and a power of ten where tiny. */
  public static String compact(double value) {
    if (!Double.isFinite(value)) {
      return Double.isNaN(value) ? "not a number" : value > 0 ? "infinite" : MINUS + "infinite";
    }
    double size = Math.abs(value);
    if (size == 0) {
      return "0";
    }
    if (size < 1e-3) {
      return minus(
          String.format(Locale.ROOT, "%.1e", value).replace("e-0", "e-").replace(".0e", "e"));
    }
    String[] suffixes = {"", "k", "M", "G", "T"};
    int power = 0;
    while (size >= 999.5 && power < suffixes.length - 1 && !(power == 0 && size < 9999.5)) {
      size /= 1000;
      power++;
    }
    BigDecimal digits =
        new BigDecimal(size).round(new MathContext(size >= 1000 ? 4 : 3)).stripTrailingZeros();
    String text = digits.toPlainString() + suffixes[power];
    return value < 0 ? MINUS + text : text;
  }

  /** With so many decimals. */
  public static String fixed(double value, int decimals) {
    return Double.isFinite(value)
        ? minus(String.format(Locale.ROOT, "%." + decimals + "f", value))
        : compact(value);
  }

  /** With so many decimals and always a sign, but for what rounds to zero. */
  public static String signed(double value, int decimals) {
    String text = fixed(value, decimals);
    boolean zero = text.chars().noneMatch(c -> c >= '1' && c <= '9');
    return zero ? text.replace(MINUS, "") : value > 0 ? "+" + text : text;
  }

  /** 1234567 as 1,234,567. */
  public static String grouped(long value) {
    return minus(String.format(Locale.ROOT, "%,d", value));
  }

  private static String minus(String text) {
    return text.startsWith("-") ? MINUS + text.substring(1) : text;
  }
}
