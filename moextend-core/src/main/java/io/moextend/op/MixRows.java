package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import java.util.List;

/** Sums of rows with fixed weights. x [V, H] to [R, H]. */
public final class MixRows {
  private MixRows() {}

  public static Tensor apply(Tape tape, Tensor x, Mixture mixture) {
    x.data().require("x", mixture.tableRows(), -1);
    Array y = mixed(tape, x.data(), mixture);
    return tape.record(
        "mixRows",
        y,
        List.of(x),
        List.of(),
        dY -> {
          // a weight takes its gradient wide, an activation in its own type
          Array d = x instanceof Parameter ? Cast.array(tape, dY, dY.dtype().wide()) : dY;
          return List.of(mixed(tape, d, mixture.transposed()));
        });
  }

  /** Without a gradient. */
  public static Array mixed(Tape tape, Array x, Mixture mixture) {
    Backend backend = tape.backend();
    long[] shape = {mixture.results(), mixture.each()};
    Array rows = backend.ints(tape.arena(), mixture.rows(), shape);
    Array weights = backend.doubles(tape.arena(), x.dtype().wide(), mixture.weights(), shape);
    Array y = backend.mixRows(tape.arena(), x, rows, weights);
    tape.arena().free(rows);
    tape.arena().free(weights);
    return y;
  }
}
