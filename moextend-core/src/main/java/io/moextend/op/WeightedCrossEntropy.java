package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels;
import io.moextend.backend.LossKernels.Weighting;
import java.util.List;

/** Cross-entropy of rows that weigh differently, with a z-loss. Scalars [1], wide. */
public final class WeightedCrossEntropy {
  private WeightedCrossEntropy() {}

  /**
   * @param loss the part of {@code zLoss} with it
   * @param zLoss not to be played backwards
   * @param perRow [R] wide, each row's cross-entropy alone
   */
  public record Loss(Tensor loss, Array zLoss, Array perRow) {}

  /**
   * @param logits [R, V]
   * @param targets [R] I32; a negative one is ignored
   */
  public static Loss apply(Tape tape, Tensor logits, Array targets, Weighting weighting) {
    Backend backend = tape.backend();
    LossKernels.WeightedCrossEntropy forward =
        backend.weightedCrossEntropy(tape.arena(), logits.data(), targets, weighting);
    Tensor loss =
        tape.record(
            "weightedCrossEntropy",
            forward.loss(),
            List.of(logits),
            List.of(logits.data(), targets, weighting.weights(), forward.logSumExp()),
            dLoss ->
                List.of(
                    backend.weightedCrossEntropyBackward(
                        tape.arena(), dLoss, logits.data(), targets, weighting, forward)));
    return new Loss(loss, forward.zLoss(), forward.perRow());
  }
}
