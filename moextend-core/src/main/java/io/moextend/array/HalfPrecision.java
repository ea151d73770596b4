package io.moextend.array;

/**
 * The two 16-bit floating types beside float. Narrowing rounds to nearest, ties to even; what is
 * too large becomes infinite and NaN stays NaN. The loops over arrays have no branch, so that the
 * compiler turns them into vector code.
 */
public final class HalfPrecision {
  private static final int INFINITY_BITS = 0x7f800000;

  private HalfPrecision() {}

  public static float fromBf16(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  public static short toBf16(float value) {
    return roundedToBf16(Float.floatToRawIntBits(value));
  }

  /** Without a branch: a mask of ones where the bits are a NaN chooses. */
  private static short roundedToBf16(int bits) {
    int nan = (INFINITY_BITS - (bits & 0x7fffffff)) >> 31;
    int rounded = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
    // a NaN whose payload sits in the lower half would otherwise round to infinity
    int quiet = (bits >>> 16) | 0x40;
    return (short) ((rounded & ~nan) | (quiet & nan));
  }

  /** Widens {@code count} values from {@code from[0]} to {@code to[at]} on. */
  public static void fromBf16(short[] from, float[] to, int at, int count) {
    for (int i = 0; i < count; i++) {
      to[at + i] = Float.intBitsToFloat(from[i] << 16);
    }
  }

  /** Narrows {@code count} values from {@code from[at]} on to {@code to[0]}. */
  public static void toBf16(float[] from, int at, short[] to, int count) {
    for (int i = 0; i < count; i++) {
      to[i] = roundedToBf16(Float.floatToRawIntBits(from[at + i]));
    }
  }

  /** Widens {@code count} values from {@code from[0]} to {@code to[at]} on. */
  public static void fromF16(short[] from, float[] to, int at, int count) {
    for (int i = 0; i < count; i++) {
      to[at + i] = Float.float16ToFloat(from[i]);
    }
  }

  /** Narrows {@code count} values from {@code from[at]} on to {@code to[0]}. */
  public static void toF16(float[] from, int at, short[] to, int count) {
    for (int i = 0; i < count; i++) {
      to[i] = Float.floatToFloat16(from[at + i]);
    }
  }
}
