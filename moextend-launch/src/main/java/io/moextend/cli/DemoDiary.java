package io.moextend.cli;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/** Announces each part of the demo and keeps how long it took. */
final class DemoDiary {
  private final PrintStream out;
  private final long start = System.nanoTime();
  private final List<Part> parts = new ArrayList<>();

  /** How long one piece of work took. */
  record Part(String name, double seconds) {}

  DemoDiary(PrintStream out) {
    this.out = out;
  }

  /** Does a part of the work. */
  <T> T part(String name, Supplier<T> work) {
    double from = seconds();
    out.printf(Locale.ROOT, "%n[%d, %.0f s] %s%n", parts.size() + 1, from, name);
    T made = work.get();
    parts.add(new Part(name, seconds() - from));
    return made;
  }

  void note(String format, Object... values) {
    out.printf(Locale.ROOT, format + "%n", values);
  }

  /** Those that are done, in their order. */
  List<Part> parts() {
    return List.copyOf(parts);
  }

  /** Since the diary was opened. */
  double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }
}
