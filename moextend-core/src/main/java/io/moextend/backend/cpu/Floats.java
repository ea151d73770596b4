package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Between arrays of any floating type and {@code float[]}, where all arithmetic is done. A buffer
 * stays in the first-level cache, so the detour costs little, and kernels know one type only.
 */
final class Floats {
  static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  /** Floats of a vector. */
  static final int LANES = SPECIES.length();

  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);

  private Floats() {}

  /** {@code n} rounded up to whole vectors of any width. */
  static int padded(int n) {
    return (n + 15) & -16;
  }

  /** Reads {@code n} elements from {@code first} on; what pads the last vector becomes 0. */
  static void load(CpuArray from, long first, int n, float[] to) {
    load(from.dtype(), from.address(first), n, to);
  }

  static void load(DType type, long address, int n, float[] to) {
    switch (type) {
      case F32 -> MemorySegment.copy(ALL, FLOAT, address, to, 0, n);
      case BF16 -> widen(address, n, to);
      case F16 -> {
        for (int i = 0; i < n; i++) {
          to[i] = Float.float16ToFloat(ALL.get(SHORT, address + 2L * i));
        }
      }
      case F64 -> {
        for (int i = 0; i < n; i++) {
          to[i] = (float) ALL.get(DOUBLE, address + 8L * i);
        }
      }
      case I64, I32, I8, U8 -> throw new IllegalArgumentException(type + " is no floating type");
    }
    Arrays.fill(to, n, padded(n), 0f);
  }

  /** Writes {@code n} elements, to nearest even. */
  static void store(float[] from, int n, CpuArray to, long first) {
    store(from, n, to.dtype(), to.address(first));
  }

  static void store(float[] from, int n, DType type, long address) {
    switch (type) {
      case F32 -> MemorySegment.copy(from, 0, ALL, FLOAT, address, n);
      case BF16 -> narrow(from, n, address);
      case F16 -> {
        for (int i = 0; i < n; i++) {
          ALL.set(SHORT, address + 2L * i, Float.floatToFloat16(from[i]));
        }
      }
      case F64 -> {
        for (int i = 0; i < n; i++) {
          ALL.set(DOUBLE, address + 8L * i, from[i]);
        }
      }
      case I64, I32, I8, U8 -> throw new IllegalArgumentException(type + " is no floating type");
    }
  }

  private static void widen(long address, int n, float[] to) {
    int i = 0;
    for (; i <= n - LANES; i += LANES) {
      Vectors.widen(address, i).intoArray(to, i);
    }
    for (; i < n; i++) {
      to[i] = Float.intBitsToFloat(ALL.get(SHORT, address + 2L * i) << 16);
    }
  }

  private static void narrow(float[] from, int n, long address) {
    int i = 0;
    for (; i <= n - LANES; i += LANES) {
      Vectors.narrow(FloatVector.fromArray(SPECIES, from, i), address, i);
    }
    for (; i < n; i++) {
      ALL.set(SHORT, address + 2L * i, bf16(from[i]));
    }
  }

  /** One element, of F32 or BF16. */
  static float get(DType type, long address) {
    return type == DType.BF16
        ? Float.intBitsToFloat(ALL.get(SHORT, address) << 16)
        : ALL.get(FLOAT, address);
  }

  /** Writes one F32 element. */
  static void set(long address, float value) {
    ALL.set(FLOAT, address, value);
  }

  /** The bits of {@code x} as BF16, to nearest even, NaN kept. */
  static short bf16(float x) {
    int bits = Float.floatToRawIntBits(x);
    if (Float.isNaN(x)) {
      return (short) (bits >>> 16 | 0x40);
    }
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }
}
