package io.moextend.backend.cuda;

import io.moextend.array.Array;
import org.jspecify.annotations.Nullable;

/** A kernel's arguments, in the order its source declares them, then its run. */
final class Launch {
  private final Kernels kernels;
  private final Source source;
  private final String name;
  private final long[] arguments = new long[Kernels.MOST_ARGUMENTS];
  private int count;

  Launch(Kernels kernels, Source source, String name) {
    this.kernels = kernels;
    this.source = source;
    this.name = name;
  }

  /** The address of an array; null gives a null pointer. */
  Launch array(@Nullable Array array) {
    return pointer(array == null ? 0 : CudaArray.of(array).address());
  }

  Launch pointer(long address) {
    return add(address);
  }

  Launch size(long value) {
    return add(value);
  }

  Launch flag(int value) {
    return add(value & 0xffffffffL);
  }

  Launch flag(boolean value) {
    return flag(value ? 1 : 0);
  }

  /** A float. */
  Launch number(double value) {
    return flag(Float.floatToRawIntBits((float) value));
  }

  /** A double. */
  Launch wide(double value) {
    return add(Double.doubleToRawLongBits(value));
  }

  private Launch add(long bits) {
    arguments[count++] = bits;
    return this;
  }

  void run(Grid grid) {
    kernels.run(source, name, grid, arguments, count);
  }
}
