package io.moextend.op;

import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import java.util.Arrays;
import java.util.List;

/** y = a ⊙ b, of one shape and type. */
public final class Multiply {
  private Multiply() {}

  public static Tensor apply(Tape tape, Tensor a, Tensor b) {
    Backend backend = tape.backend();
    return tape.record(
        "multiply",
        backend.multiply(tape.arena(), a.data(), b.data()),
        List.of(a, b),
        List.of(a.data(), b.data()),
        dY ->
            Arrays.asList(
                a.requiresGrad() ? backend.multiply(tape.arena(), dY, b.data()) : null,
                b.requiresGrad() ? backend.multiply(tape.arena(), dY, a.data()) : null));
  }
}
