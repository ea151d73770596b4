package io.moextend.autograd;

import io.moextend.array.Array;

/** Data no gradient flows into: pixels, masks, what frozen layers made of them. */
public record Constant(Array data) implements Tensor {
  @Override
  public boolean requiresGrad() {
    return false;
  }
}
