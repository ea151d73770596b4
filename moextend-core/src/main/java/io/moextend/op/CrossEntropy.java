package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels;
import java.util.List;

/**
 * Sum over rows of -log softmax(logits)[target], over a denominator; a negative target is ignored.
 * A scalar [1], wide.
 */
public final class CrossEntropy {
  private CrossEntropy() {}

  /**
   * @param logits [R, V]
   * @param targets [R] I32
   * @param denominator what the sum is divided by: the number of labelled rows for a mean
   */
  public static Tensor apply(Tape tape, Tensor logits, Array targets, double denominator) {
    Backend backend = tape.backend();
    LossKernels.CrossEntropy forward =
        backend.crossEntropy(tape.arena(), logits.data(), targets, denominator);
    return tape.record(
        "crossEntropy",
        forward.loss(),
        List.of(logits),
        List.of(logits.data(), targets, forward.perRow(), forward.logSumExp()),
        dLoss ->
            List.of(
                backend.crossEntropyBackward(
                    tape.arena(), dLoss, logits.data(), targets, forward, denominator)));
  }
}
