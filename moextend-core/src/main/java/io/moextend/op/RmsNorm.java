package io.moextend.op;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.NormKernels.Normed;
import java.util.Arrays;
import java.util.List;

/**
 * y = x / sqrt(mean(x²) + eps) · w. x [R, H], w [H].
 *
 * @see <a href="https://arxiv.org/abs/1910.07467">Root Mean Square Layer Normalization</a>, eq. 4
 */
public final class RmsNorm {
  private RmsNorm() {}

  public static Tensor apply(Tape tape, Tensor x, Parameter weight, double eps) {
    Backend backend = tape.backend();
    Normed normed = backend.rmsNorm(tape.arena(), x.data(), weight.data(), eps);
    return tape.record(
        "rmsNorm",
        normed.out(),
        List.of(x, weight),
        List.of(x.data(), normed.inverse(), normed.mean()),
        dY ->
            Arrays.asList(
                x.requiresGrad()
                    ? backend.rmsNormBackward(tape.arena(), dY, x.data(), weight.data(), normed)
                    : null,
                weight.requiresGrad()
                    ? backend.rmsNormWeightGradient(tape.arena(), dY, x.data(), normed)
                    : null));
  }
}
