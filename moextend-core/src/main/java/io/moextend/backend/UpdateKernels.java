package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;

/** Kernels that write in place: gradients, optimizer state, masters. */
public interface UpdateKernels {
  /** into += s·from; of one size, the types may differ. */
  void accumulateInto(Array into, Array from, double s);

  /** Every element of {@code into} becomes {@code value}. */
  void fillInto(Array into, double value);

  /** into = from, rounded to into's type where they differ. */
  void copyInto(Array into, Array from);

  /** Sum of squares, in double inside. @return [1] F64 */
  Array sumOfSquares(Arena to, Array x);

  /**
   * @param step from 1
   * @param gradientScale what the gradient is multiplied by first (clipping, averaging)
   */
  record AdamStep(
      int step,
      double learningRate,
      double beta1,
      double beta2,
      double eps,
      double weightDecay,
      double gradientScale) {}

  /**
   * Decoupled weight decay, then Adam, as torch.optim.AdamW computes it: master *= 1 - lr·wd; m, v;
   * master -= lr/(1-β1^t) · m / (sqrt(v)/sqrt(1-β2^t) + eps). All arrays wide and of one size.
   */
  void adamInto(Array master, Array m, Array v, Array gradient, AdamStep how);

  /**
   * As above; then {@code weights} is the new master, rounded to its type.
   *
   * @param weights of any floating type
   */
  default void adamInto(
      Array weights, Array master, Array m, Array v, Array gradient, AdamStep how) {
    adamInto(master, m, v, gradient, how);
    copyInto(weights, master);
  }
}
