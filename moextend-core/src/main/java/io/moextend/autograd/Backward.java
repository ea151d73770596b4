package io.moextend.autograd;

import io.moextend.array.Array;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The hand-written backward of one op: gradient of the output to gradient of each input, in the
 * order of the inputs, null where an input wants none. May read only what the op saved, its
 * parameters and its tape's arena.
 */
@FunctionalInterface
public interface Backward {
  List<? extends @Nullable Array> apply(Array dOut);

  /** For an op with several outputs; a gradient is null where that output was not used. */
  @FunctionalInterface
  interface Many {
    List<? extends @Nullable Array> apply(@Nullable Array[] dOuts);
  }
}
