package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Dispatch;
import io.moextend.backend.RoutingKernels.CombineGradients;
import java.util.Arrays;
import java.util.List;

/**
 * The pieces of a mixture: probabilities, weights of the chosen, rows to experts and back. T
 * tokens, E experts, k chosen.
 *
 * @see <a href="https://arxiv.org/abs/2401.04088">Mixtral of Experts</a>, section 2.1
 */
public final class Route {
  private Route() {}

  /** p = softmax(logits) over experts. [T, E], wide. */
  public static Tensor probabilities(Tape tape, Tensor logits) {
    Array p = tape.backend().softmax(tape.arena(), logits.data());
    return tape.record(
        "softmax",
        p,
        List.of(logits),
        List.of(p),
        dP -> List.of(tape.backend().softmaxBackward(tape.arena(), dP, p)));
  }

  /** scores[t, chosen[t, j]] / their sum over j. scores [T, E] wide, chosen [T, k] I32; [T, k]. */
  public static Tensor weights(Tape tape, Tensor scores, Array chosen, boolean normalise) {
    Array w = tape.backend().pick(tape.arena(), scores.data(), chosen, normalise);
    return tape.record(
        "pick",
        w,
        List.of(scores),
        List.of(scores.data(), chosen),
        dW ->
            List.of(
                tape.backend().pickBackward(tape.arena(), dW, scores.data(), chosen, normalise)));
  }

  /**
   * The k largest of each row, zero elsewhere, not divided by their sum; ties to the lower index.
   * What is kept takes its gradient, the choice takes none.
   *
   * @param p [R, E] wide
   */
  public static Tensor largest(Tape tape, Tensor p, int k) {
    Array chosen = tape.backend().topK(tape.arena(), p.data(), k);
    Array kept = masked(tape, p.data(), p.data(), chosen);
    return tape.record(
        "largest",
        kept,
        List.of(p),
        List.of(p.data(), chosen),
        d -> List.of(masked(tape, d, p.data(), chosen)));
  }

  /** {@code values} where chosen: picked, and put back to their places. */
  private static Array masked(Tape tape, Array values, Array p, Array chosen) {
    Array picked = tape.backend().pick(tape.arena(), values, chosen, false);
    return tape.backend().pickBackward(tape.arena(), picked, p, chosen, false);
  }

  /** Copies each token's row to its k experts. x [T, H]; [T·k, H], sorted by expert. */
  public static Tensor permute(Tape tape, Tensor x, Dispatch dispatch) {
    Array rows = tape.backend().permute(tape.arena(), x.data(), dispatch);
    return tape.record(
        "permute",
        rows,
        List.of(x),
        List.of(dispatch.slot()),
        d -> List.of(tape.backend().permuteBackward(tape.arena(), d, dispatch)));
  }

  /**
   * out[t] = sum over j of weights[t, j] · rows[slot[t, j]]. rows [T·k, H], weights [T, k]; [T, H].
   */
  public static Tensor combine(Tape tape, Tensor rows, Tensor weights, Dispatch dispatch) {
    Array out = tape.backend().combine(tape.arena(), rows.data(), weights.data(), dispatch);
    return tape.record(
        "combine",
        out,
        List.of(rows, weights),
        List.of(rows.data(), weights.data(), dispatch.slot(), dispatch.source()),
        dOut -> {
          CombineGradients d =
              tape.backend()
                  .combineBackward(tape.arena(), dOut, rows.data(), weights.data(), dispatch);
          return Arrays.asList(
              rows.requiresGrad() ? d.dRows() : null, weights.requiresGrad() ? d.dWeights() : null);
        });
  }
}
