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

  /**
   * How the rows of a weighted cross-entropy count.
   *
   * @param weights [R] wide; a row of weight 0 counts for nothing
   * @param zLoss what the square of ln Σ e^logit counts beside the cross-entropy
   * @param smoothing the share of a target's probability that all other classes have together; what
   *     a perfect answer would still lose is taken off
   * @param denominator what the sum over rows is divided by
   */
  record Weighting(Array weights, double zLoss, double smoothing, double denominator) {
    public Weighting {
      if (!(smoothing >= 0 && smoothing < 1)) {
        throw new IllegalArgumentException(
            "label smoothing=" + smoothing + ": must be at least 0 and below 1");
      }
    }

    /** The probability a target shall have. */
    public double confidence() {
      return 1 - smoothing;
    }

    /** The probability every other class shall have. */
    public double rest(long classes) {
      return smoothing == 0 ? 0 : smoothing / (classes - 1);
    }

    /** What a perfect answer would lose. */
    public double floor(long classes) {
      if (smoothing == 0) {
        return 0;
      }
      double rest = rest(classes);
      return -confidence() * Math.log(confidence()) - (classes - 1) * rest * Math.log(rest + 1e-20);
    }
  }

  /**
   * @param loss [1] wide, the part of {@code zLoss} with it
   * @param zLoss [1] wide
   * @param perRow [R] wide, the cross-entropy alone, not weighted; 0 where the target is negative
   * @param logSumExp [R] wide
   */
  record WeightedCrossEntropy(Array loss, Array zLoss, Array perRow, Array logSumExp) {}

  /**
   * Σ over rows of weight·(cross-entropy + zLoss·(ln Σ e^logit)²) / denominator: the loss of T5X,
   * with the z-loss of Mesh TensorFlow.
   *
   * @param logits [R, V]
   * @param targets [R] I32; a negative one is ignored
   */
  WeightedCrossEntropy weightedCrossEntropy(
      Arena to, Array logits, Array targets, Weighting weighting);

  /**
   * @param dLoss [1]; @return dLogits [R, V], of the logits' type
   */
  Array weightedCrossEntropyBackward(
      Arena to,
      Array dLoss,
      Array logits,
      Array targets,
      Weighting weighting,
      WeightedCrossEntropy forward);

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
