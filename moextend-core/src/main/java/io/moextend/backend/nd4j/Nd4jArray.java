package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.BackendException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** A row-major array over an ND4J buffer. Views share the buffer of their base. */
final class Nd4jArray extends Array {
  /** The whole buffer of the base, as a vector; one element where the base has none. */
  private final INDArray flat;

  /** Where this array begins in {@link #flat}, in elements. */
  private final long offset;

  /** Memory that somebody else owns; null where the buffer is ND4J's own. */
  private final @Nullable MemorySegment foreign;

  private @Nullable INDArray shaped;

  private Nd4jArray(
      DType dtype,
      long[] shape,
      @Nullable Nd4jArray base,
      INDArray flat,
      long offset,
      @Nullable MemorySegment foreign) {
    super(dtype, shape, base);
    this.flat = flat;
    this.offset = offset;
    this.foreign = foreign;
  }

  /** Takes over {@code flat}, a vector of as many elements as the shape has (one if none). */
  static Nd4jArray owning(DType dtype, long[] shape, INDArray flat) {
    return new Nd4jArray(dtype, shape, null, flat, 0, null);
  }

  /** An array that shows {@code memory} through {@code flat}. */
  static Nd4jArray over(MemorySegment memory, DType dtype, long[] shape, INDArray flat) {
    return new Nd4jArray(dtype, shape, null, flat, 0, memory);
  }

  /** This backend's array behind {@code array}, refused where it was freed or is another's. */
  static Nd4jArray own(Array array) {
    if (!(array instanceof Nd4jArray mine)) {
      throw new IllegalArgumentException(
          "array %s is not of backend nd4j but a %s; copy it through the host"
              .formatted(array, array.getClass().getSimpleName()));
    }
    if (!mine.isLive()) {
      throw new IllegalStateException("array " + array + " is used after its memory was freed");
    }
    return mine;
  }

  /** The ND4J array of the same shape; only for arrays that have elements. */
  static INDArray of(Array array) {
    return own(array).shaped();
  }

  /** As {@link #of}, for an input of arithmetic: F32 or F64. */
  static INDArray number(Array array) {
    requireComputed(array.dtype(), "array " + array);
    return of(array);
  }

  /** As {@link #of}, for an array that a kernel writes: refused where its memory is another's. */
  static INDArray writable(Array array) {
    requireOwned(own(array));
    return of(array);
  }

  static void requireOwned(Nd4jArray array) {
    if (array.isForeign()) {
      throw new IllegalStateException(
          "array %s shows memory of somebody else and is read-only; write into a copy"
              .formatted(array));
    }
  }

  /** True where the memory is not ND4J's but, say, a mapped file's. */
  boolean isForeign() {
    return foreign != null;
  }

  /**
   * Throws unless arithmetic in {@code dtype} is this backend's; {@code what} names the culprit.
   */
  static void requireComputed(DType dtype, String what) {
    if (dtype != DType.F32 && dtype != DType.F64) {
      throw new BackendException(
          "backend nd4j computes in F32 and F64, and %s is %s; use --dtype f32, or backend cpu"
              .formatted(what, dtype));
    }
  }

  static DataType type(DType dtype) {
    return switch (dtype) {
      case F64 -> DataType.DOUBLE;
      case F32 -> DataType.FLOAT;
      case BF16 -> DataType.BFLOAT16;
      case F16 -> DataType.HALF;
      case I64 -> DataType.LONG;
      case I32 -> DataType.INT;
      case I8 -> DataType.BYTE;
      case U8 -> DataType.UBYTE;
    };
  }

  private INDArray shaped() {
    INDArray known = shaped;
    if (known == null) {
      if (size() == 0) {
        throw new IllegalStateException("array " + this + " has no elements to compute with");
      }
      known = view(shape());
      shaped = known;
    }
    return known;
  }

  private INDArray view(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= shape[i];
    }
    return Nd4j.create(flat.data(), shape, strides, offset, 'c');
  }

  /** The host's bytes of this array: ND4J's own copy of them on a device with its own memory. */
  MemorySegment hostBytes() {
    long address = flat.data().pointer().address() + offset * dtype().bytes();
    return MemorySegment.ofAddress(address).reinterpret(bytes());
  }

  /** The buffer's vector, to tell ND4J where its current bytes are, and to close. */
  INDArray flat() {
    return flat;
  }

  @Override
  public boolean isLive() {
    return foreign == null ? !flat.wasClosed() : foreign.scope().isAlive();
  }

  @Override
  public Array reshape(long... shape) {
    if (sizeOf(shape) != size()) {
      throw new ShapeException("%s cannot be seen as %s".formatted(this, Arrays.toString(shape)));
    }
    return new Nd4jArray(dtype(), shape, (Nd4jArray) base(), flat, offset, foreign);
  }

  @Override
  public Array slice(long from, long to) {
    if (rank() == 0 || from < 0 || to < from || to > dim(0)) {
      throw new ShapeException("%s has no rows %d to %d".formatted(this, from, to));
    }
    long[] shape = shape();
    long row = dim(0) == 0 ? 0 : size() / dim(0);
    shape[0] = to - from;
    return new Nd4jArray(dtype(), shape, (Nd4jArray) base(), flat, offset + from * row, foreign);
  }
}
