package io.moextend.comm;

/** Numbers the calls of one collective and tells the vigil of them. */
final class Calls {
  /** What a call does once it has its number. */
  @FunctionalInterface
  interface Body {
    void run(Call call);
  }

  private final Vigil vigil;
  private long sequence;
  private long lateNanos;

  Calls(Vigil vigil) {
    this.vigil = vigil;
  }

  /**
   * @param method as "all-reduce"
   * @param signature equal on all ranks
   */
  void run(String method, String signature, String what, Body body) {
    begin(method, what);
    try {
      body.run(call(signature, what));
    } finally {
      end();
    }
  }

  /** Waits for the other ranks to come to the same call, and counts how long. */
  void meeting(Runnable meet) {
    long start = System.nanoTime();
    meet.run();
    lateNanos += System.nanoTime() - start;
  }

  /** What all meetings took. */
  long lateNanos() {
    return lateNanos;
  }

  /** The first of the three steps of {@link #run}, for a call that returns something. */
  void begin(String method, String what) {
    sequence++;
    vigil.entered(sequence, method + " (" + what + ")");
  }

  /** The call that has begun. */
  Call call(String signature, String what) {
    return new Call(sequence, signature, what);
  }

  void end() {
    vigil.left(sequence);
  }
}
