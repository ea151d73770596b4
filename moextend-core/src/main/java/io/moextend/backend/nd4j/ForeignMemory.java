package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J arrays over memory that somebody else owns, without a copy. */
final class ForeignMemory {
  private ForeignMemory() {}

  /** Whether ND4J can read it in place: its loops want numbers at multiples of their own size. */
  static boolean readable(DType dtype, MemorySegment memory) {
    return Nd4j.getEnvironment().isCPU()
        && memory.isNative()
        && memory.byteSize() > 0
        && memory.address() % dtype.bytes() == 0;
  }

  static Array show(DType dtype, MemorySegment memory, long... shape) {
    long size = memory.byteSize() / dtype.bytes();
    DataBuffer buffer = Nd4j.createBuffer(new Address(memory, size), size, Nd4jArray.type(dtype));
    return Nd4jArray.over(memory, dtype, shape, Nd4j.create(buffer, new long[] {size}));
  }

  /** A pointer that frees nothing. */
  private static final class Address extends Pointer {
    Address(MemorySegment memory, long size) {
      super((Pointer) null);
      address = memory.address();
      limit = size;
      capacity = size;
    }
  }
}
