package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import java.util.List;

/** The same values in another floating type; the gradient goes back to the type it came from. */
public final class Cast {
  private Cast() {}

  public static Tensor apply(Tape tape, Tensor x, DType dtype) {
    DType from = x.data().dtype();
    if (from == dtype) {
      return x;
    }
    Array y = tape.backend().cast(tape.arena(), x.data(), dtype);
    return tape.record("cast", y, List.of(x), List.of(), dY -> List.of(array(tape, dY, from)));
  }

  static Array array(Tape tape, Array x, DType dtype) {
    return x.dtype() == dtype ? x : tape.backend().cast(tape.arena(), x, dtype);
  }
}
