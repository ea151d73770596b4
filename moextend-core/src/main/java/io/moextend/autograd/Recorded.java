package io.moextend.autograd;

import io.moextend.array.Array;
import java.util.List;

/** One output of a recorded op. */
public final class Recorded implements Tensor {
  /**
   * An op on the tape.
   *
   * @param saved what its backward reads; kept alive until then, freed after
   */
  record Node(
      String op, List<Tensor> inputs, int outputs, List<Array> saved, Backward.Many backward) {}

  final Node node;
  final int index;
  private final Array data;

  Recorded(Node node, int index, Array data) {
    this.node = node;
    this.index = index;
    this.data = data;
  }

  @Override
  public Array data() {
    return data;
  }

  @Override
  public boolean requiresGrad() {
    return true;
  }
}
