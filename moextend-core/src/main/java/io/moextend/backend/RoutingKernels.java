package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;

/** Choosing experts and moving rows to them and back. Nothing here waits for the host. */
public interface RoutingKernels {
  /** Softmax over rows. logits [T, E]; @return [T, E] of the same type */
  Array softmax(Arena to, Array logits);

  /**
   * @param probabilities what softmax returned; @return dLogits
   */
  Array softmaxBackward(Arena to, Array dProbabilities, Array probabilities);

  /**
   * The k largest of each row, largest first, the lower index first among equals. scores [T,
   * E]; @return [T, k] I32
   */
  Array topK(Arena to, Array scores, int k);

  /**
   * The scores of the chosen, divided by their sum where {@code normalise}.
   *
   * @param scores [T, E] wide
   * @param chosen [T, k] I32
   * @return [T, k] wide
   */
  Array pick(Arena to, Array scores, Array chosen, boolean normalise);

  /**
   * @param dPicked [T, k]; @return dScores [T, E] wide
   */
  Array pickBackward(Arena to, Array dPicked, Array scores, Array chosen, boolean normalise);

  /** Sorts the choices by expert. chosen [T, k] I32, every value in [0, experts). */
  Dispatch dispatch(Arena to, Array chosen, int experts);

  /**
   * @param x [T, H]; @return [rows, H], row r is x[source[r]]
   */
  Array permute(Arena to, Array x, Dispatch dispatch);

  /**
   * @param dRows [rows, H]; @return [T, H], each token the sum of its k rows
   */
  Array permuteBackward(Arena to, Array dRows, Dispatch dispatch);

  /**
   * @param rows [rows, H]; @param weights [T, k] wide; @return [T, H], each token's k rows,
   *     weighted
   */
  Array combine(Arena to, Array rows, Array weights, Dispatch dispatch);

  /**
   * @param dRows [rows, H]
   * @param dWeights [T, k] wide
   */
  record CombineGradients(Array dRows, Array dWeights) {}

  CombineGradients combineBackward(
      Arena to, Array dOut, Array rows, Array weights, Dispatch dispatch);
}
