package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import java.util.List;

/** y = f(x), and the gated form y = f(left half) · right half. */
public final class Activate {
  private Activate() {}

  public static Tensor apply(Tape tape, Activation kind, Tensor x) {
    Array y = tape.backend().activation(tape.arena(), kind, x.data());
    return tape.record(
        "activate",
        y,
        List.of(x),
        List.of(x.data()),
        dY -> List.of(tape.backend().activationBackward(tape.arena(), kind, dY, x.data())));
  }

  /**
   * x [R, 2·I] to [R, I]: SwiGLU where f is SiLU.
   *
   * @see <a href="https://arxiv.org/abs/2002.05202">GLU Variants Improve Transformer</a>, eq. 6
   */
  public static Tensor gated(Tape tape, Activation kind, Tensor x) {
    Array y = tape.backend().gated(tape.arena(), kind, x.data());
    return tape.record(
        "gated",
        y,
        List.of(x),
        List.of(x.data()),
        dY -> List.of(gatedBackward(tape, kind, dY, x.data())));
  }

  /** In the place of x where that is read for the last time: a step's largest array. */
  private static Array gatedBackward(Tape tape, Activation kind, Array dY, Array x) {
    Array dX = tape.lastReads(x) ? x : tape.arena().allocate(x.dtype(), x.shape());
    tape.backend().gatedBackwardInto(dX, kind, dY, x);
    return dX;
  }
}
