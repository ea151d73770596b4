package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AdapterKernels.RescaleGradients;
import java.util.Arrays;
import java.util.List;

/**
 * Each head times a mixture of vectors, y = x ⊙ Σ_e p_e·scaling_e.
 *
 * @see <a href="https://arxiv.org/abs/2309.05444">Pushing Mixture of Experts to the Limit</a>, MoV
 */
public final class Rescale {
  private Rescale() {}

  /**
   * @param x [R, H·K]
   * @param p [R·H, E] wide
   * @param scaling [H, E, K]
   * @return as x
   */
  public static Tensor apply(Tape tape, Tensor x, Tensor p, Tensor scaling) {
    Array y = tape.backend().rescale(tape.arena(), x.data(), p.data(), scaling.data());
    return tape.record(
        "rescale",
        y,
        List.of(x, p, scaling),
        List.of(x.data(), p.data(), scaling.data()),
        dY -> {
          RescaleGradients d =
              tape.backend().rescaleBackward(tape.arena(), dY, x.data(), p.data(), scaling.data());
          return Arrays.asList(
              x.requiresGrad() ? d.dX() : null,
              p.requiresGrad() ? d.dP() : null,
              scaling.requiresGrad() ? d.dScaling() : null);
        });
  }
}
