package io.moextend.autograd;

import io.moextend.array.Array;

/** An array that may sit on a tape. Its data is not written after recording. */
public sealed interface Tensor permits Constant, Parameter, Recorded {
  Array data();

  boolean requiresGrad();

  static Tensor constant(Array data) {
    return new Constant(data);
  }
}
