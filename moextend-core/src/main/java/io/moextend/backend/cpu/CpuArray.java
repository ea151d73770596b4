package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** An array in this process' memory, known by its address; rows may be unaligned in a view. */
final class CpuArray extends Array {
  /** All memory of the process; kernels check arrays, not every access. */
  static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
  static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final Block block;
  private final long address;

  /** Memory and whether it may still be touched. */
  interface Block {
    boolean isLive();

    boolean isReadOnly();
  }

  CpuArray(DType dtype, long[] shape, Block block, long address, @Nullable CpuArray base) {
    super(dtype, shape, base);
    this.block = block;
    this.address = address;
  }

  /** This backend's view of an array it is about to read; throws where it cannot. */
  static CpuArray of(Array array) {
    if (!(array instanceof CpuArray cpu)) {
      throw new IllegalArgumentException(
          "%s is an array of another backend (%s); copy it through the host"
              .formatted(array, array.getClass().getSimpleName()));
    }
    if (!cpu.isLive()) {
      throw new IllegalStateException(
          "%s was freed; keep it in its tape scope or arena until the last use".formatted(cpu));
    }
    return cpu;
  }

  /** As {@link #of}, for an array that must have one element type. */
  static CpuArray of(Array array, DType wanted) {
    CpuArray cpu = of(array);
    if (cpu.dtype() != wanted) {
      throw new ShapeException("%s where %s is wanted".formatted(cpu, wanted));
    }
    return cpu;
  }

  /** As {@link #of}, for an array that is about to be written. */
  static CpuArray into(Array array) {
    CpuArray cpu = of(array);
    if (cpu.block.isReadOnly()) {
      throw new IllegalStateException(cpu + " is mapped read-only and cannot be written");
    }
    return cpu;
  }

  Block block() {
    return block;
  }

  /** Where element 0 lies. */
  long address() {
    return address;
  }

  /** Where an element lies. */
  long address(long element) {
    return address + element * dtype().bytes();
  }

  int intAt(long element) {
    return ALL.get(INT, address + 4 * element);
  }

  void setInt(long element, int value) {
    ALL.set(INT, address + 4 * element, value);
  }

  float floatAt(long element) {
    return ALL.get(FLOAT, address + 4 * element);
  }

  void setFloat(long element, float value) {
    ALL.set(FLOAT, address + 4 * element, value);
  }

  byte byteAt(long element) {
    return ALL.get(ValueLayout.JAVA_BYTE, address + element);
  }

  /** Copies {@code count} elements of one and the same type. */
  static void copy(CpuArray from, long fromElement, CpuArray to, long toElement, long count) {
    int width = from.dtype().bytes();
    MemorySegment.copy(
        ALL,
        from.address(fromElement),
        ALL,
        to.address(toElement),
        Math.multiplyExact(count, width));
  }

  void clear(long fromElement, long count) {
    ALL.asSlice(address(fromElement), count * dtype().bytes()).fill((byte) 0);
  }

  @Override
  public boolean isLive() {
    return block.isLive();
  }

  @Override
  public Array reshape(long... shape) {
    if (sizeOf(shape) != size()) {
      throw new ShapeException(
          "%s cannot take the shape %s".formatted(this, java.util.Arrays.toString(shape)));
    }
    return new CpuArray(dtype(), shape, block, address, (CpuArray) base());
  }

  @Override
  public Array slice(long from, long to) {
    if (rank() == 0 || from < 0 || to < from || to > dim(0)) {
      throw new ShapeException("slice [%d, %d) of %s".formatted(from, to, this));
    }
    long[] shape = shape();
    long row = shape[0] == 0 ? 0 : size() / shape[0];
    shape[0] = to - from;
    return new CpuArray(dtype(), shape, block, address(from * row), (CpuArray) base());
  }
}
