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

  Calls(Vigil vigil) {
    this.vigil = vigil;
  }

  /**
   * @param method as "all-reduce"
   * @param signature equal on all ranks
   */
  void run(String method, String signature, String what, Body body) {
    var call = new Call(++sequence, signature, what);
    vigil.entered(sequence, method + " (" + what + ")");
    try {
      body.run(call);
    } finally {
      vigil.left(call.sequence());
    }
  }
}
