package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AdapterKernels.BlockGradients;
import java.util.Arrays;
import java.util.List;

/** Columns in E blocks, each block times a number of its row's own. h [R, E·r], p [R, E] wide. */
public final class ScaleBlocks {
  private ScaleBlocks() {}

  public static Tensor apply(Tape tape, Tensor h, Tensor p) {
    Array y = tape.backend().scaleBlocks(tape.arena(), h.data(), p.data());
    return tape.record(
        "scaleBlocks",
        y,
        List.of(h, p),
        List.of(h.data(), p.data()),
        dY -> {
          BlockGradients d =
              tape.backend().scaleBlocksBackward(tape.arena(), dY, h.data(), p.data());
          return Arrays.asList(h.requiresGrad() ? d.dH() : null, p.requiresGrad() ? d.dP() : null);
        });
  }
}
