package io.moextend.eval;

import io.moextend.adapter.AdapterFolder;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Named host tensors of a trace: floating ones as F32, whole numbers as I64, flags as U8. */
final class TraceOutput {
  private final Backend backend;
  private final Map<String, TensorData> tensors = new LinkedHashMap<>();

  TraceOutput(Backend backend) {
    this.backend = backend;
  }

  /**
   * Copies {@code array} out under {@code shape}, which has as many elements; none for a scalar.
   */
  void put(String name, Array array, long... shape) {
    if (array.dtype().isFloating()) {
      try (Arena scratch = backend.arena("trace")) {
        tensors.put(name, TensorData.of(name, shape, backend.toFloats(scratch, array)));
      }
      return;
    }
    if (array.dtype() != DType.I32) {
      throw new IllegalArgumentException(name + " is " + array);
    }
    int[] values = backend.toInts(array);
    long[] wide = new long[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    tensors.put(name, TensorData.of(name, shape, wide));
  }

  /**
   * Copies a weight, or what has its shape, out as files have it: an adapter's may lie otherwise.
   */
  void putStored(String name, Array array, long... shape) {
    put(name, array, shape);
    tensors.computeIfPresent(name, (n, tensor) -> AdapterFolder.stored(tensor));
  }

  /** Numbers, which are not copied. */
  void put(String name, float[] values, long... shape) {
    tensors.put(name, TensorData.of(name, shape, values));
  }

  /** Whole numbers of 32 bits, which are not copied. */
  void put(String name, int[] values, long... shape) {
    tensors.put(name, TensorData.of(name, shape, values));
  }

  /** Whole numbers, which are not copied. */
  void put(String name, long[] values, long... shape) {
    tensors.put(name, TensorData.of(name, shape, values));
  }

  /** Flags, which are not copied. */
  void put(String name, byte[] values, long... shape) {
    tensors.put(name, TensorData.of(name, shape, values));
  }

  List<TensorData> tensors() {
    Collection<TensorData> values = tensors.values();
    return new ArrayList<>(values);
  }
}
