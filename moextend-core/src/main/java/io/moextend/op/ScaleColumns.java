package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import java.util.Arrays;
import java.util.List;

/** Each column times a number of its own. x [R, N], scale [N]. */
public final class ScaleColumns {
  private ScaleColumns() {}

  public static Tensor apply(Tape tape, Tensor x, Tensor scale) {
    Array y = tape.backend().scaleColumns(tape.arena(), x.data(), scale.data());
    return tape.record(
        "scaleColumns",
        y,
        List.of(x, scale),
        scale.requiresGrad() ? List.of(x.data(), scale.data()) : List.of(scale.data()),
        dY ->
            Arrays.asList(
                x.requiresGrad()
                    ? tape.backend().scaleColumns(tape.arena(), dY, scale.data())
                    : null,
                scale.requiresGrad()
                    ? tape.backend().scaleColumnsGradient(tape.arena(), dY, x.data())
                    : null));
  }
}
