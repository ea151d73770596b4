package io.moextend.checkpoint;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;

/**
 * A named tensor as it lies in a file or in host memory.
 *
 * @param bytes little-endian, row-major; valid as long as its source is open
 */
public record TensorData(String name, DType dtype, long[] shape, MemorySegment bytes) {}
