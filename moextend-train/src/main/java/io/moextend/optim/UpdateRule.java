package io.moextend.optim;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How a gradient changes a weight. Stateless; its state lies in arrays it is given. */
public interface UpdateRule {
  /**
   * An array of one parameter's state; it starts at 0 and is wide.
   *
   * @param elements of a whole parameter's
   * @param elementwise true where each of them belongs to one of the parameter's, so that a part of
   *     the array goes with that part of the parameter
   */
  record State(String name, long elements, boolean elementwise) {
    /** A number for each of the parameter's. */
    public static State like(Parameter parameter, String name) {
      return new State(name, parameter.size(), true);
    }
  }

  /** What is kept of a parameter from step to step. */
  List<State> state(Parameter parameter);

  /** True where a part of the parameter may be updated by who has that part of its state. */
  default boolean divides(Parameter parameter) {
    return state(parameter).stream().allMatch(State::elementwise);
  }

  /** Numbers about a whole parameter that have to be known before any of it changes. */
  int sums();

  /**
   * One update of one parameter, or of a part of one.
   *
   * @param step from 1; how often this parameter has been updated, this time counted
   * @param gradientScale what the gradient is multiplied by first (clipping, averaging)
   * @param decays false for a parameter that weight decay spares (biases and norms)
   */
  record Step(int step, double learningRate, double gradientScale, boolean decays) {}

  /**
   * A parameter, or elements of one that follow each other.
   *
   * @param master wide, in one dimension
   * @param gradient of the same size and type
   * @param state in the order of {@link UpdateRule#state}; of elementwise ones this part
   */
  record Target(Parameter parameter, Array master, Array gradient, List<Array> state) {}

  /**
   * Called before {@link #update} where there are {@link #sums}; the state may change.
   *
   * @return [sums] F64 in {@code to}: this part's share, to be added to those of other parts
   */
  default Array measure(Backend backend, Arena to, Target target, Step how) {
    throw new IllegalStateException(this + " measures nothing");
  }

  /**
   * Changes the master, and the state where there is nothing to measure.
   *
   * @param sums [sums] F64 of the whole parameter; null where there are none
   */
  void update(Backend backend, Target target, @Nullable Array sums, Step how);

  /**
   * As above; then {@code weights} is the new master, rounded to its type.
   *
   * @param weights of the same size and any floating type
   */
  default void update(
      Backend backend, Array weights, Target target, @Nullable Array sums, Step how) {
    update(backend, target, sums, how);
    backend.copyInto(weights, target.master());
  }
}
