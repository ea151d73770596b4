package io.moextend.backend;

import java.util.function.Consumer;

/**
 * A use of one kernel, the same on every backend.
 *
 * @param kernel its name
 * @param what which shapes or corner
 * @param readsAll false where some input goes unread, as there are no rows for it
 */
record Case(String kernel, String what, boolean readsAll, Consumer<Trial> body) {
  static Case of(String kernel, String what, Consumer<Trial> body) {
    return new Case(kernel, what, true, body);
  }

  /** The same where {@code rows} is above zero, else a case that leaves inputs unread. */
  Case ofRows(long rows) {
    return new Case(kernel, what, rows > 0, body);
  }

  @Override
  public String toString() {
    return kernel + " " + what;
  }
}
