package io.moextend.report;

import java.util.ArrayList;
import java.util.List;

/**
 * A line of numbers laid on a line of the drawing.
 *
 * @param least value at {@code from}
 * @param most value at {@code to}
 * @param isLog whether equal steps are equal factors
 */
record Axis(double least, double most, boolean isLog, double from, double to) {
  private static final int TICKS = 5;

  /** An axis over all these values, opened a little where they are all the same. */
  static Axis over(double least, double most, boolean isLog, double from, double to) {
    if (isLog) {
      double room = most / least < 1.2 ? 1.5 : 1;
      return new Axis(least / room, most * room, true, from, to);
    }
    double room = most > least ? 0 : Math.max(Math.abs(most) * 0.1, 0.5);
    return new Axis(least - room, most + room, false, from, to);
  }

  double at(double value) {
    double share =
        isLog ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
    return from + (to - from) * share;
  }

  /** Round values inside, about five. */
  List<Double> ticks() {
    return isLog ? logTicks() : linearTicks();
  }

  private List<Double> linearTicks() {
    double rough = (most - least) / TICKS;
    double power = Math.pow(10, Math.floor(Math.log10(rough)));
    double step =
        power * (rough / power < 1.5 ? 1 : rough / power < 3.5 ? 2 : rough / power < 7.5 ? 5 : 10);
    List<Double> ticks = new ArrayList<>();
    for (long i = (long) Math.ceil(least / step - 1e-9); i * step <= most + step * 1e-9; i++) {
      ticks.add(i * step);
    }
    return ticks;
  }

  /** Powers of ten, with 2 and 5 of each where there are few. */
  private List<Double> logTicks() {
    int first = (int) Math.floor(Math.log10(least));
    int last = (int) Math.ceil(Math.log10(most));
    int decades = last - first;
    int every = Math.max(1, (decades + TICKS) / (TICKS + 1));
    int[] digits =
        decades <= 1
            ? new int[] {1, 2, 3, 4, 5, 7}
            : decades <= 3 ? new int[] {1, 2, 5} : new int[] {1};
    List<Double> ticks = new ArrayList<>();
    for (int power = first; power <= last; power += every) {
      for (int digit : digits) {
        double value = digit * Math.pow(10, power);
        if (value >= least * 0.999 && value <= most * 1.001) {
          ticks.add(value);
        }
      }
    }
    return ticks;
  }
}
