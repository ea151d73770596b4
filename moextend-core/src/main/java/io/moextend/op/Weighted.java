package io.moextend.op;

import java.util.function.Consumer;

/** A part of a model that multiplies with weights. */
public interface Weighted {
  /** Calls {@code visitor} once for each weight below, always in the same order. */
  void visitWeights(Consumer<Weight> visitor);
}
