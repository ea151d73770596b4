package io.moextend.op;

import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import java.util.List;

/** y = s·x. */
public final class Scale {
  private Scale() {}

  public static Tensor apply(Tape tape, Tensor x, double s) {
    return tape.record(
        "scale",
        tape.backend().scale(tape.arena(), x.data(), s),
        List.of(x),
        List.of(),
        dY -> List.of(tape.backend().scale(tape.arena(), dY, s)));
  }
}
