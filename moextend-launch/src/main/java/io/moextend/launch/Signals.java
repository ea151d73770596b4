package io.moextend.launch;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * Tells of SIGTERM and SIGINT instead of ending the process, until closed. The JDK has no other way
 * to outlive a signal and choose the exit code.
 */
public final class Signals implements AutoCloseable {
  private final Map<Signal, SignalHandler> before = new LinkedHashMap<>();

  private Signals() {}

  /**
   * @param told the signal's name, as SIGTERM, on a thread of its own
   */
  public static Signals heardBy(Consumer<String> told) {
    var signals = new Signals();
    for (String name : new String[] {"TERM", "INT"}) {
      var signal = new Signal(name);
      signals.before.put(signal, Signal.handle(signal, s -> told.accept("SIG" + s.getName())));
    }
    return signals;
  }

  /** What was before is again. */
  @Override
  public void close() {
    before.forEach(Signal::handle);
  }
}
