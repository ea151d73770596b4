package io.moextend.autograd;

import io.moextend.array.Arena;
import io.moextend.array.Array;

/**
 * Where the tape delivers a parameter's gradient. May be called several times for one parameter:
 * add, never set. The gradient's memory is the tape's; it is freed after the call.
 */
@FunctionalInterface
public interface GradientSink {
  void accept(Parameter parameter, Array gradient);

  /**
   * As {@link #accept}, with a gradient that nobody else wants: it may be kept instead of copied.
   *
   * @param owner of the gradient's memory
   * @return true where the gradient was taken, its memory with it; false where nothing was done
   */
  default boolean take(Parameter parameter, Array gradient, Arena owner) {
    return false;
  }

  /**
   * The backward pass went below {@code unit}: no parameter of this unit or a later one will get
   * another gradient from this tape. Units are numbered in the order of the forward pass. Not
   * called for units that no gradient flows through.
   */
  default void reached(int unit) {}

  /** For a tape that is only to be read forward. */
  GradientSink NONE =
      (parameter, gradient) -> {
        throw new IllegalStateException(
            "a gradient of " + parameter.name() + " where none was asked for");
      };
}
