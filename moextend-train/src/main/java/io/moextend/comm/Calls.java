package io.moextend.comm;

import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * The way into every call of one collective: numbers it, tells the vigil, meets the other ranks.
 */
final class Calls {
  private final Vigil vigil;
  private final Consumer<Call> meet;
  private long sequence;
  private long lateNanos;

  /**
   * @param meet returns when all ranks have come to the same call
   */
  Calls(Vigil vigil, Consumer<Call> meet) {
    this.vigil = vigil;
    this.meet = meet;
  }

  /**
   * @param method as "all-reduce"
   * @param signature equal on all ranks
   * @param body what the call does once all have come
   */
  void run(String method, String signature, String what, Runnable body) {
    get(
        method,
        signature,
        what,
        () -> {
          body.run();
          return true;
        });
  }

  /** As {@link #run}, for a call that returns something. */
  <T> T get(String method, String signature, String what, Supplier<T> body) {
    sequence++;
    vigil.entered(sequence, method + " (" + what + ")");
    try {
      long start = System.nanoTime();
      meet.accept(new Call(sequence, signature, what));
      lateNanos += System.nanoTime() - start;
      return body.get();
    } finally {
      vigil.left(sequence);
    }
  }

  /** What all meetings took. */
  long lateNanos() {
    return lateNanos;
  }
}
