package io.moextend.train;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import java.lang.foreign.MemorySegment;

/** An array's elements as a checkpoint stores them. */
final class StoredBytes {
  private StoredBytes() {}

  /**
   * @param stored floating type in the file; rounded to nearest even where it is narrower
   */
  static MemorySegment of(Backend backend, Array data, DType stored) {
    var bytes = MemorySegment.ofArray(new byte[Math.toIntExact(data.size() * stored.bytes())]);
    try (Arena scratch = backend.arena("save")) {
      backend.copyOut(data.dtype() == stored ? data : backend.cast(scratch, data, stored), bytes);
    }
    return bytes;
  }
}
