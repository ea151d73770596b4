package io.moextend.optim;

import io.moextend.array.Array;
import io.moextend.backend.Backend;
import java.util.List;

/** How a gradient changes a weight. Stateless; its state lives in arrays it is given. */
public interface UpdateRule {
  /** True where any slice of a parameter may be updated alone, as sharding does. */
  boolean elementwise();

  /** Names of the state arrays, each of the size of the master; they start at 0. */
  List<String> stateNames();

  /**
   * One update of one parameter, or of a slice of one.
   *
   * @param step from 1; how often this parameter has been updated, this time counted
   * @param gradientScale what the gradient is multiplied by first (clipping, averaging)
   * @param decays false for a parameter that weight decay spares (biases and norms)
   */
  record Step(int step, double learningRate, double gradientScale, boolean decays) {}

  /**
   * @param master wide, changed in place
   * @param gradient of the same size and type
   * @param state in the order of {@link #stateNames}, changed in place
   */
  void update(Backend backend, Array master, Array gradient, List<Array> state, Step how);

  /**
   * As above; then {@code weights} is the new master, rounded to its type.
   *
   * @param weights of the same size and any floating type
   */
  default void update(
      Backend backend, Array weights, Array master, Array gradient, List<Array> state, Step how) {
    update(backend, master, gradient, state, how);
    backend.copyInto(weights, master);
  }
}
