package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Rows of heads on their way between arrays, where the heads of a row lie side by side, and scratch
 * memory, where a head's rows follow each other: as they are for products, and wide, padded to
 * whole vectors, for sums. One loop over vectors to a method: of two, the second would not be
 * compiled to vectors.
 */
final class HeadRows {
  private static final VectorSpecies<Float> SPECIES = Floats.SPECIES;
  private static final int LANES = Floats.LANES;
  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

  private HeadRows() {}

  /** Copies rows of {@code line} bytes that lie {@code stride} bytes apart side by side. */
  static void gather(long from, long stride, int rows, long line, long to) {
    if (line % SPECIES.vectorByteSize() != 0) {
      for (int r = 0; r < rows; r++) {
        Bytes.copy(from + r * stride, to + r * line, line);
      }
      return;
    }
    for (int r = 0; r < rows; r++) {
      for (long i = 0; i < line; i += SPECIES.vectorByteSize()) {
        FloatVector.fromMemorySegment(SPECIES, ALL, from + r * stride + i, ORDER)
            .intoMemorySegment(ALL, to + r * line + i, ORDER);
      }
    }
  }

  /** Writes factor·row of {@code width} sums as {@code type}. */
  static void store(long row, float factor, int width, DType type, long to) {
    int whole = width & -LANES;
    if (type == DType.BF16) {
      storeNarrow(row, factor, whole, to);
    } else {
      storeWide(row, factor, whole, to);
    }
    for (int i = whole; i < width; i++) {
      float x = ALL.get(FLOAT, row + 4L * i) * factor;
      if (type == DType.BF16) {
        ALL.set(ValueLayout.JAVA_SHORT_UNALIGNED, to + 2L * i, Floats.bf16(x));
      } else {
        ALL.set(FLOAT, to + 4L * i, x);
      }
    }
  }

  private static void storeNarrow(long row, float factor, int whole, long to) {
    for (int i = 0; i < whole; i += LANES) {
      Floats.narrow(wide(row + 4L * i).mul(factor), to + 2L * i);
    }
  }

  private static void storeWide(long row, float factor, int whole, long to) {
    for (int i = 0; i < whole; i += LANES) {
      wide(row + 4L * i).mul(factor).intoMemorySegment(ALL, to + 4L * i, ORDER);
    }
  }

  /** A wide padded row times a factor, in place. */
  static void scale(long row, float factor, int width) {
    for (int i = 0; i < width; i += LANES) {
      wide(row + 4L * i).mul(factor).intoMemorySegment(ALL, row + 4L * i, ORDER);
    }
  }

  /** A wide padded row added to another. */
  static void add(long row, int width, long to) {
    for (int i = 0; i < width; i += LANES) {
      wide(to + 4L * i).add(wide(row + 4L * i)).intoMemorySegment(ALL, to + 4L * i, ORDER);
    }
  }

  /** The sum of a vector. */
  static float total(long address) {
    return VectorMath.total(wide(address));
  }

  /** Σ a·b of two rows in {@code type}. */
  static float dot(DType type, long a, long b, int width) {
    int whole = width & -LANES;
    float total = type == DType.BF16 ? dotNarrow(a, b, whole) : dotWide(a, b, whole);
    for (int i = whole; i < width; i++) {
      total += element(type, a, i) * element(type, b, i);
    }
    return total;
  }

  private static float dotNarrow(long a, long b, int whole) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < whole; i += LANES) {
      sum = Floats.widen(a + 2L * i).fma(Floats.widen(b + 2L * i), sum);
    }
    return VectorMath.total(sum);
  }

  private static float dotWide(long a, long b, int whole) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < whole; i += LANES) {
      sum = wide(a + 4L * i).fma(wide(b + 4L * i), sum);
    }
    return VectorMath.total(sum);
  }

  private static float element(DType type, long row, int i) {
    return type == DType.BF16
        ? Float.intBitsToFloat(ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, row + 2L * i) << 16)
        : ALL.get(FLOAT, row + 4L * i);
  }

  private static FloatVector wide(long address) {
    return FloatVector.fromMemorySegment(SPECIES, ALL, address, ORDER);
  }
}
