package io.moextend.train;

import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorStream;
import java.lang.foreign.Arena;

/** A device array as a checkpoint writes it: copied to the host when its turn comes. */
final class DeviceTensor {
  private DeviceTensor() {}

  static TensorStream stream(Backend backend, String name, Array values) {
    return new TensorStream(
        name,
        values.dtype(),
        values.shape(),
        sink -> {
          try (Arena memory = Arena.ofConfined()) {
            var bytes = memory.allocate(values.bytes(), 64);
            backend.copyOut(values, bytes);
            sink.write(bytes);
          }
        });
  }
}
