package io.moextend.stage.convert;

import java.util.List;

/** The decoder a model was grown from; its feed-forward network has these matrices. */
enum Family {
  PHI3("gate_up_proj", "down_proj"),
  LLAMA("gate_proj", "up_proj", "down_proj");

  private final List<String> matrices;

  Family(String... matrices) {
    this.matrices = List.of(matrices);
  }

  /** Names of the weights of one network, below it: {@code down_proj.weight}. */
  List<String> weights() {
    return matrices.stream().map(matrix -> matrix + ".weight").toList();
  }

  /**
   * [out, in] of one of {@link #weights}.
   *
   * @param hidden size of a token
   * @param width inside the network
   */
  static long[] shape(String weight, long hidden, long width) {
    return switch (weight) {
      case "gate_up_proj.weight" -> new long[] {2 * width, hidden};
      case "down_proj.weight" -> new long[] {hidden, width};
      default -> new long[] {width, hidden};
    };
  }
}
