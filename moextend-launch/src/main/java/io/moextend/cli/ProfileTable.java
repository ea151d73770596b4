package io.moextend.cli;

import io.moextend.bench.KernelProfile;
import java.util.List;
import java.util.Locale;

/** Where a step's time went, in words and numbers. */
final class ProfileTable {
  private static final String ROW = "%-44s %5s %9s %6s %8s %7s%n";

  private ProfileTable() {}

  /**
   * @param step seconds of a whole step
   */
  static String of(List<KernelProfile.Line> lines, double step) {
    var text = new StringBuilder();
    text.append(row("kernel", "calls", "ms", "step", "GF/s", "alone"));
    double products = 0;
    double alone = 0;
    double all = 0;
    for (KernelProfile.Line line : lines) {
      all += line.seconds();
      boolean product = line.flops() > 0;
      if (product) {
        products += line.seconds();
        alone += line.aloneSeconds();
      }
      text.append(
          row(
              line.kernel(),
              line.calls(),
              milliseconds(line.seconds()),
              percent(line.seconds() / step),
              product ? "%.0f".formatted(line.gigaflops()) : "",
              product ? percent(line.shareOfAlone()) : ""));
    }
    text.append(
        row(
            "all products",
            "",
            milliseconds(products),
            percent(products / step),
            "",
            percent(alone / products)));
    text.append(row("all kernels", "", milliseconds(all), percent(all / step), "", ""));
    text.append(row("step", "", milliseconds(step), "100 %", "", ""));
    return text.toString();
  }

  private static String row(Object... cells) {
    return ROW.formatted(cells);
  }

  private static String milliseconds(double seconds) {
    return String.format(Locale.ROOT, "%.2f", seconds * 1e3);
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.0f %%", 100 * share);
  }
}
