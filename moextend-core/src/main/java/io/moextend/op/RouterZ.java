package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import java.util.List;

/**
 * factor · mean over rows of (logsumexp of a router's logits)²; a scalar [1], wide. Its backward
 * waits for the device.
 *
 * @see <a href="https://arxiv.org/abs/2202.08906">ST-MoE</a>, eq. 5
 */
public final class RouterZ {
  private RouterZ() {}

  /**
   * @param logits [R, E] wide, R above 0
   */
  public static Tensor apply(Tape tape, Tensor logits, double factor) {
    Backend backend = tape.backend();
    int rows = Math.toIntExact(logits.data().dim(0));
    Array first = backend.ints(tape.arena(), new int[rows], rows);
    Array logZ = backend.crossEntropy(tape.arena(), logits.data(), first, 1).logSumExp();
    Array squares = backend.multiply(tape.arena(), logZ, logZ).reshape(rows, 1);
    Array sum = backend.sumRows(tape.arena(), squares);
    Array loss = backend.scale(tape.arena(), sum, factor / rows);
    return tape.record(
        "routerZ",
        loss,
        List.of(logits),
        List.of(logits.data(), logZ),
        dLoss -> {
          // d logZ / d logits = softmax
          double each = 2 * factor / rows * backend.toDouble(dLoss);
          Array weights = backend.scale(tape.arena(), logZ, each).reshape(rows, 1);
          Array p = backend.softmax(tape.arena(), logits.data());
          return List.of(backend.scaleBlocks(tape.arena(), p, weights));
        });
  }
}
