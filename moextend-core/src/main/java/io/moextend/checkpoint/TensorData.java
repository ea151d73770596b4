package io.moextend.checkpoint;

import io.moextend.array.DType;
import io.moextend.array.HalfPrecision;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Objects;

/**
 * A named tensor as it lies in a file or in host memory.
 *
 * @param bytes little-endian, row-major; valid as long as its source is open
 */
public record TensorData(String name, DType dtype, long[] shape, MemorySegment bytes) {
  private static final int CHUNK = 8192;
  private static final ValueLayout.OfShort SHORT = little(ValueLayout.JAVA_SHORT_UNALIGNED);
  private static final ValueLayout.OfInt INT = little(ValueLayout.JAVA_INT_UNALIGNED);
  private static final ValueLayout.OfLong LONG = little(ValueLayout.JAVA_LONG_UNALIGNED);
  private static final ValueLayout.OfFloat FLOAT = little(ValueLayout.JAVA_FLOAT_UNALIGNED);
  private static final ValueLayout.OfDouble DOUBLE = little(ValueLayout.JAVA_DOUBLE_UNALIGNED);

  public TensorData {
    long wanted = bytesOf(name, dtype, shape);
    if (bytes.byteSize() != wanted) {
      throw new CheckpointException(
          "tensor %s: %s %s takes %d bytes, but %d are given"
              .formatted(
                  CheckpointException.shown(name),
                  dtype,
                  Arrays.toString(shape),
                  wanted,
                  bytes.byteSize()));
    }
  }

  /** An F32 tensor over the caller's array, which is not copied. */
  public static TensorData of(String name, long[] shape, float[] values) {
    requireLittleEndian();
    return new TensorData(name, DType.F32, shape, MemorySegment.ofArray(values));
  }

  /**
   * A tensor of {@code dtype}, F32, BF16 or F16, rounded to nearest even from {@code values}.
   *
   * @throws CheckpointException where the shape does not hold as many values
   */
  public static TensorData of(String name, DType dtype, long[] shape, float[] values) {
    return switch (dtype) {
      case F32 -> of(name, shape, values);
      case BF16, F16 -> {
        var bytes = MemorySegment.ofArray(new short[values.length]);
        narrow(values, dtype, bytes);
        yield new TensorData(name, dtype, shape, bytes);
      }
      case F64, I64, I32, I8, U8 ->
          throw new IllegalArgumentException("floats are not written as " + dtype);
    };
  }

  /** An I64 tensor over the caller's array, which is not copied. */
  public static TensorData of(String name, long[] shape, long[] values) {
    requireLittleEndian();
    return new TensorData(name, DType.I64, shape, MemorySegment.ofArray(values));
  }

  /** An I32 tensor over the caller's array, which is not copied. */
  public static TensorData of(String name, long[] shape, int[] values) {
    requireLittleEndian();
    return new TensorData(name, DType.I32, shape, MemorySegment.ofArray(values));
  }

  /** A U8 tensor over the caller's array, which is not copied. */
  public static TensorData of(String name, long[] shape, byte[] values) {
    return new TensorData(name, DType.U8, shape, MemorySegment.ofArray(values));
  }

  /** How many elements it has. */
  public long length() {
    return bytes.byteSize() / dtype.bytes();
  }

  /** The same bytes under another name. */
  public TensorData named(String other) {
    return new TensorData(other, dtype, shape, bytes);
  }

  /**
   * The same elements under other sizes.
   *
   * @throws CheckpointException where these hold more or fewer
   */
  public TensorData shaped(long... sizes) {
    return new TensorData(name, dtype, sizes, bytes);
  }

  /** A copy with the last two axes the other way round. */
  public TensorData turned() {
    int last = shape.length - 1;
    long[] sizes = shape.clone();
    sizes[last] = shape[last - 1];
    sizes[last - 1] = shape[last];
    int width = dtype.bytes();
    var to = MemorySegment.ofArray(new byte[Math.toIntExact(bytes.byteSize())]);
    long matrix = sizes[last] * sizes[last - 1];
    for (long at = 0; at < length(); at++) {
      long row = at % matrix / sizes[last];
      long column = at % sizes[last];
      long from = at - at % matrix + column * shape[last] + row;
      MemorySegment.copy(bytes, from * width, to, at * width, width);
    }
    return new TensorData(name, dtype, sizes, to);
  }

  /**
   * Rows {@code from} (inclusive) to {@code to} (exclusive) of a tensor with at least one axis; the
   * bytes are shared.
   */
  public TensorData rows(long from, long to) {
    Objects.checkFromToIndex(from, to, shape[0]);
    long[] part = shape.clone();
    part[0] = to - from;
    long row = shape[0] == 0 ? 0 : bytes.byteSize() / shape[0];
    return new TensorData(name, dtype, part, bytes.asSlice(from * row, part[0] * row));
  }

  /**
   * Every element, row-major, widened or (F64) rounded to float.
   *
   * @throws CheckpointException where the elements are whole numbers, or too many for one array
   */
  public float[] floats() {
    float[] values = new float[arrayLength()];
    switch (dtype) {
      case F32 -> MemorySegment.copy(bytes, FLOAT, 0, values, 0, values.length);
      case F64 -> {
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) bytes.get(DOUBLE, 8L * i);
        }
      }
      case BF16, F16 -> widen(values);
      case I64, I32, I8, U8 -> throw mismatch("floating numbers");
    }
    return values;
  }

  /**
   * Every element, row-major; U8 counts from 0 to 255.
   *
   * @throws CheckpointException where the elements are no whole numbers, or too many for one array
   */
  public long[] longs() {
    long[] values = new long[arrayLength()];
    switch (dtype) {
      case I64 -> MemorySegment.copy(bytes, LONG, 0, values, 0, values.length);
      case I32 -> Arrays.setAll(values, i -> bytes.get(INT, 4L * i));
      case I8 -> Arrays.setAll(values, i -> bytes.get(ValueLayout.JAVA_BYTE, i));
      case U8 -> Arrays.setAll(values, i -> bytes.get(ValueLayout.JAVA_BYTE, i) & 0xff);
      case F64, F32, BF16, F16 -> throw mismatch("whole numbers");
    }
    return values;
  }

  /**
   * Rounds to nearest even.
   *
   * @param dtype BF16 or F16
   * @param to room for 2 bytes a value
   */
  public static void narrow(float[] values, DType dtype, MemorySegment to) {
    short[] chunk = new short[Math.min(CHUNK, values.length)];
    for (int at = 0; at < values.length; at += CHUNK) {
      int count = Math.min(CHUNK, values.length - at);
      if (dtype == DType.BF16) {
        HalfPrecision.toBf16(values, at, chunk, count);
      } else {
        HalfPrecision.toF16(values, at, chunk, count);
      }
      MemorySegment.copy(chunk, 0, to, SHORT, 2L * at, count);
    }
  }

  /** Bytes of a tensor, or a refusal where no memory could hold it. */
  static long bytesOf(String name, DType dtype, long[] shape) {
    long bytes = dtype.bytes();
    for (long size : shape) {
      if (size < 0) {
        throw new CheckpointException(
            "tensor %s: shape %s has a negative size"
                .formatted(CheckpointException.shown(name), Arrays.toString(shape)));
      }
      if (size != 0 && bytes > Long.MAX_VALUE / size) {
        throw new CheckpointException(
            "tensor %s: shape %s is too large for any memory"
                .formatted(CheckpointException.shown(name), Arrays.toString(shape)));
      }
      bytes *= size;
    }
    return bytes;
  }

  private void widen(float[] values) {
    short[] chunk = new short[Math.min(CHUNK, values.length)];
    for (int at = 0; at < values.length; at += CHUNK) {
      int count = Math.min(CHUNK, values.length - at);
      MemorySegment.copy(bytes, SHORT, 2L * at, chunk, 0, count);
      if (dtype == DType.BF16) {
        HalfPrecision.fromBf16(chunk, values, at, count);
      } else {
        HalfPrecision.fromF16(chunk, values, at, count);
      }
    }
  }

  private int arrayLength() {
    if (length() > Integer.MAX_VALUE - 8) {
      throw new CheckpointException(
          "tensor %s: %d elements do not fit in one array; read its bytes in parts"
              .formatted(CheckpointException.shown(name), length()));
    }
    return (int) length();
  }

  private CheckpointException mismatch(String wanted) {
    return new CheckpointException(
        "tensor %s: holds %s where %s are wanted"
            .formatted(CheckpointException.shown(name), dtype, wanted));
  }

  private static void requireLittleEndian() {
    if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
      throw new IllegalStateException("arrays are taken over as they lie: little-endian only");
    }
  }

  @SuppressWarnings("unchecked")
  private static <L extends ValueLayout> L little(L layout) {
    return (L) layout.withOrder(ByteOrder.LITTLE_ENDIAN);
  }
}
