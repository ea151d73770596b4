package io.moextend.train;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorStream;
import java.lang.foreign.Arena;

/** A device array as a checkpoint writes it: copied to the host when its turn comes. */
final class DeviceTensor {
  private DeviceTensor() {}

  static TensorStream stream(Backend backend, String name, Array values) {
    return stream(backend, name, values, values.dtype());
  }

  /**
   * @param stored floating type in the file; rounded to nearest even where it is narrower
   */
  static TensorStream stream(Backend backend, String name, Array values, DType stored) {
    return new TensorStream(
        name,
        stored,
        values.shape(),
        sink -> {
          try (Arena memory = Arena.ofConfined();
              io.moextend.array.Arena scratch = backend.arena("save")) {
            Array written =
                values.dtype() == stored ? values : backend.cast(scratch, values, stored);
            var bytes = memory.allocate(written.bytes(), 64);
            backend.copyOut(written, bytes);
            sink.write(bytes);
          }
        });
  }
}
