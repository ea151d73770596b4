package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Losses; scalars are arrays of shape [1], wide, on the device. */
public interface LossKernels {
  /**
   * @param perRow [R] wide, 0 where the target is negative
   * @param logSumExp [R] wide
   */
  record CrossEntropy(Array loss, Array perRow, Array logSumExp) {}

  /**
   * Sum over rows of -log softmax(logits)[target], divided by {@code denominator}.
   *
   * @param logits [R, V]
   * @param targets [R] I32; a negative one is ignored
   */
  CrossEntropy crossEntropy(Arena to, Array logits, Array targets, double denominator);

  /**
   * @param dLoss [1]; @return dLogits [R, V], of the logits' type
   */
  Array crossEntropyBackward(
      Arena to, Array dLoss, Array logits, Array targets, CrossEntropy forward, double denominator);

  /** How layers are put together in a load-balancing loss. */
  enum BalanceForm {
    /**
     * Each layer's share · probability product is taken alone; the mean over layers counts
     * (MoExtend's code).
     */
    PER_LAYER,
    /**
     * Shares and probabilities are averaged over all layers first (Mixtral in Hugging Face
     * transformers).
     */
    POOLED
  }

  /**
   * @param loss [1]
   * @param shares per layer [E_l] wide: routed choices of unmasked tokens per unmasked token (sums
   *     to k)
   */
  record Balance(Array loss, List<Array> shares) {}

  /**
   * Load-balancing loss of a step. With f_le the shares and P_le the mean probability over unmasked
   * tokens: factor / L · Σ_l Σ_e f_le P_le (PER_LAYER), or factor · Σ_e mean_l(f_le) mean_l(P_le)
   * (POOLED, layers of one width).
   *
   * @param probabilities per layer [T, E_l] wide
   * @param chosen per layer [T, k] I32
   * @param mask [T] U8, 0 where a token counts for nothing; null = all count
   */
  Balance balance(
      Arena to,
      List<Array> probabilities,
      List<Array> chosen,
      @Nullable Array mask,
      BalanceForm form,
      double factor);

  /**
   * @return per layer dProbabilities [T, E_l] wide; shares are taken as constants
   */
  List<Array> balanceBackward(
      Arena to,
      Array dLoss,
      List<Array> probabilities,
      @Nullable Array mask,
      Balance forward,
      BalanceForm form,
      double factor);
}
