package io.moextend.backend;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Element types as bytes on the host; rounds to nearest even by the bits, apart from any backend.
 */
public final class Rounding {
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  private Rounding() {}

  /** The value of type {@code dtype} nearest to {@code x}. */
  public static double to(DType dtype, double x) {
    return switch (dtype) {
      case F64 -> x;
      case F32 -> (float) x;
      case BF16 -> Float.intBitsToFloat(bfloat16((float) x) << 16);
      case F16 -> Float.float16ToFloat(Float.floatToFloat16((float) x));
      case I64, I32, I8, U8 -> Math.rint(x);
    };
  }

  private static int bfloat16(float x) {
    int bits = Float.floatToRawIntBits(x);
    if (Float.isNaN(x)) {
      return (bits >>> 16) | 0x40;
    }
    return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }

  /** Little-endian bytes of {@code values} rounded to {@code dtype}. */
  public static MemorySegment encode(DType dtype, double... values) {
    MemorySegment bytes = MemorySegment.ofArray(new byte[values.length * dtype.bytes()]);
    for (int i = 0; i < values.length; i++) {
      double x = values[i];
      long at = (long) i * dtype.bytes();
      switch (dtype) {
        case F64 -> bytes.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, at, x);
        case F32 -> bytes.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, (float) x);
        case BF16 -> bytes.set(SHORT, at, (short) bfloat16((float) x));
        case F16 -> bytes.set(SHORT, at, Float.floatToFloat16((float) x));
        case I64 -> bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, at, (long) x);
        case I32 -> bytes.set(ValueLayout.JAVA_INT_UNALIGNED, at, (int) x);
        case I8, U8 -> bytes.set(ValueLayout.JAVA_BYTE, at, (byte) (int) x);
      }
    }
    return bytes;
  }

  /** The opposite of {@link #encode}. */
  public static double[] decode(DType dtype, MemorySegment bytes) {
    double[] values = new double[Math.toIntExact(bytes.byteSize() / dtype.bytes())];
    for (int i = 0; i < values.length; i++) {
      long at = (long) i * dtype.bytes();
      values[i] =
          switch (dtype) {
            case F64 -> bytes.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, at);
            case F32 -> bytes.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at);
            case BF16 -> Float.intBitsToFloat(bytes.get(SHORT, at) << 16);
            case F16 -> Float.float16ToFloat(bytes.get(SHORT, at));
            case I64 -> bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, at);
            case I32 -> bytes.get(ValueLayout.JAVA_INT_UNALIGNED, at);
            case I8 -> bytes.get(ValueLayout.JAVA_BYTE, at);
            case U8 -> bytes.get(ValueLayout.JAVA_BYTE, at) & 0xff;
          };
    }
    return values;
  }
}
