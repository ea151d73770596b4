package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;

/**
 * Values from Java arrays to the device and back; each call copies, and reading waits for the
 * device.
 */
public interface HostCopies extends ElementKernels {
  void copyIn(Array to, MemorySegment from);

  void copyOut(Array from, MemorySegment to);

  default Array ints(Arena to, int[] values, long... shape) {
    Array array = to.allocate(DType.I32, shape);
    copyIn(array, MemorySegment.ofArray(values));
    return array;
  }

  default Array bytes(Arena to, byte[] values, long... shape) {
    Array array = to.allocate(DType.U8, shape);
    copyIn(array, MemorySegment.ofArray(values));
    return array;
  }

  /**
   * @param dtype a floating type; values are rounded to it
   */
  default Array floats(Arena to, DType dtype, float[] values, long... shape) {
    Array wide = to.allocate(DType.F32, shape);
    copyIn(wide, MemorySegment.ofArray(values));
    return as(to, wide, dtype);
  }

  /**
   * @param dtype F64 or F32
   */
  default Array doubles(Arena to, DType dtype, double[] values, long... shape) {
    if (dtype != DType.F64) {
      float[] rounded = new float[values.length];
      for (int i = 0; i < rounded.length; i++) {
        rounded[i] = (float) values[i];
      }
      return floats(to, dtype, rounded, shape);
    }
    Array array = to.allocate(DType.F64, shape);
    copyIn(array, MemorySegment.ofArray(values));
    return array;
  }

  default int[] toInts(Array array) {
    int[] values = new int[Math.toIntExact(array.size())];
    copyOut(array, MemorySegment.ofArray(values));
    return values;
  }

  default byte[] toBytes(Array array) {
    byte[] values = new byte[Math.toIntExact(array.bytes())];
    copyOut(array, MemorySegment.ofArray(values));
    return values;
  }

  /** The values of a floating array, as float. */
  default float[] toFloats(Arena scratch, Array array) {
    float[] values = new float[Math.toIntExact(array.size())];
    if (array.dtype() == DType.F32) {
      copyOut(array, MemorySegment.ofArray(values));
      return values;
    }
    Array wide = cast(scratch, array, DType.F32);
    copyOut(wide, MemorySegment.ofArray(values));
    scratch.free(wide);
    return values;
  }

  /**
   * The values of an F64 array.
   *
   * @throws IllegalArgumentException where it is of another type
   */
  default double[] toDoubles(Array array) {
    if (array.dtype() != DType.F64) {
      throw new IllegalArgumentException(array + " is not F64");
    }
    double[] values = new double[Math.toIntExact(array.size())];
    copyOut(array, MemorySegment.ofArray(values));
    return values;
  }

  /** The one value of a wide scalar. */
  default double toDouble(Array scalar) {
    if (scalar.dtype() == DType.F64) {
      return toDoubles(scalar)[0];
    }
    float[] value = new float[1];
    copyOut(scalar, MemorySegment.ofArray(value));
    return value[0];
  }

  private Array as(Arena to, Array array, DType dtype) {
    if (array.dtype() == dtype) {
      return array;
    }
    Array result = cast(to, array, dtype);
    to.free(array);
    return result;
  }
}
