package io.moextend.op;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.NormKernels.Normed;
import java.util.Arrays;
import java.util.List;

/** y = (x - mean) / sqrt(var + eps) · w + b. x [R, H], w and b [H]. */
public final class LayerNorm {
  private LayerNorm() {}

  public static Tensor apply(Tape tape, Tensor x, Parameter weight, Parameter bias, double eps) {
    Backend backend = tape.backend();
    Normed normed = backend.layerNorm(tape.arena(), x.data(), weight.data(), bias.data(), eps);
    return tape.record(
        "layerNorm",
        normed.out(),
        List.of(x, weight, bias),
        List.of(x.data(), normed.inverse(), normed.mean()),
        dY ->
            Arrays.asList(
                x.requiresGrad()
                    ? backend.layerNormBackward(tape.arena(), dY, x.data(), weight.data(), normed)
                    : null,
                weight.requiresGrad()
                    ? backend.layerNormWeightGradient(tape.arena(), dY, x.data(), normed)
                    : null,
                bias.requiresGrad() ? backend.sumRows(tape.arena(), dY) : null));
  }
}
