package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels.Balance;
import io.moextend.backend.LossKernels.BalanceForm;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Load-balancing loss over all layers of a step; a scalar [1], wide. Shares of routed tokens are
 * constants, the gradient flows through the probabilities.
 *
 * @see <a href="https://arxiv.org/abs/2101.03961">Switch Transformer</a>, eq. 4-6; MoExtend
 *     src/model_moextend.py, its own form
 */
public final class BalanceLoss {
  private BalanceLoss() {}

  /**
   * @param probabilities per layer [T, E_l], wide
   * @param chosen per layer [T, k] I32
   * @param mask [T] U8, or null where every token counts
   */
  public static Tensor apply(
      Tape tape,
      List<Tensor> probabilities,
      List<Array> chosen,
      @Nullable Array mask,
      BalanceForm form,
      double factor) {
    Backend backend = tape.backend();
    List<Array> p = probabilities.stream().map(Tensor::data).toList();
    Balance forward = backend.balance(tape.arena(), p, chosen, mask, form, factor);
    var saved = new ArrayList<Array>(forward.shares());
    saved.addAll(p);
    if (mask != null) {
      saved.add(mask);
    }
    return tape.record(
        "balance",
        forward.loss(),
        probabilities,
        saved,
        dLoss ->
            new ArrayList<@Nullable Array>(
                backend.balanceBackward(tape.arena(), dLoss, p, mask, forward, form, factor)));
  }
}
