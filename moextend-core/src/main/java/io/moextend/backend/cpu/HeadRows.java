package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Rows of a head on their way between arrays, where the heads of a row lie side by side, and
 * scratch memory, where a head's rows follow each other: as they are for products, and wide, padded
 * to whole vectors, for sums. Each method is compiled by itself (scripts/jvm.flags).
 */
final class HeadRows {
  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  private HeadRows() {}

  /**
   * Copies the rows of some heads, {@code line} bytes each, so that each head's lie side by side.
   *
   * @param stride bytes from row to row
   * @param apart bytes from head to head of the copy
   */
  static void gather(long from, long stride, int rows, int heads, long line, long to, long apart) {
    if (line % SPECIES.vectorByteSize() != 0) {
      for (int r = 0; r < rows; r++) {
        for (int h = 0; h < heads; h++) {
          Bytes.copy(from + r * stride + h * line, to + h * apart + r * line, line);
        }
      }
      return;
    }
    for (int r = 0; r < rows; r++) {
      for (int h = 0; h < heads; h++) {
        long source = from + r * stride + h * line;
        long target = to + h * apart + r * line;
        for (long i = 0; i < line; i += SPECIES.vectorByteSize()) {
          Vectors.store(Vectors.load(source + i, 0), target + i, 0);
        }
      }
    }
  }

  /**
   * Writes factor·row of rows of sums as {@code type}.
   *
   * @param sums address of wide rows, padded
   * @param factors of each row, from {@code first} on
   * @param stride bytes from row to row of the result
   */
  static void store(
      long sums,
      float[] factors,
      int first,
      int rows,
      int width,
      DType type,
      long to,
      long stride) {
    if (type == DType.BF16) {
      storeNarrow(sums, factors, first, rows, width, to, stride);
    } else {
      storeWide(sums, factors, first, rows, width, to, stride);
    }
  }

  private static void storeNarrow(
      long sums, float[] factors, int first, int rows, int width, long to, long stride) {
    long line = 4L * Floats.padded(width);
    for (int r = 0; r < rows; r++) {
      float factor = factors[first + r];
      int i = 0;
      for (; i <= width - LANES; i += LANES) {
        Vectors.narrow(Vectors.load(sums + r * line, i).mul(factor), to + r * stride, i);
      }
      for (; i < width; i++) {
        float x = ALL.get(FLOAT, sums + r * line + 4L * i) * factor;
        ALL.set(SHORT, to + r * stride + 2L * i, Floats.bf16(x));
      }
    }
  }

  private static void storeWide(
      long sums, float[] factors, int first, int rows, int width, long to, long stride) {
    long line = 4L * Floats.padded(width);
    for (int r = 0; r < rows; r++) {
      float factor = factors[first + r];
      int i = 0;
      for (; i <= width - LANES; i += LANES) {
        Vectors.store(Vectors.load(sums + r * line, i).mul(factor), to + r * stride, i);
      }
      for (; i < width; i++) {
        ALL.set(FLOAT, to + r * stride + 4L * i, ALL.get(FLOAT, sums + r * line + 4L * i) * factor);
      }
    }
  }

  /** Whole vectors of floats times a factor, in place. */
  static void scale(long address, float factor, int n) {
    for (int i = 0; i < n; i += LANES) {
      Vectors.store(Vectors.load(address, i).mul(factor), address, i);
    }
  }

  /** Whole vectors of floats added to others. */
  static void add(long from, int n, long to) {
    for (int i = 0; i < n; i += LANES) {
      Vectors.store(Vectors.load(to, i).add(Vectors.load(from, i)), to, i);
    }
  }

  /** The sum of each row's vector. */
  static void totals(long vectors, int rows, float[] to) {
    for (int r = 0; r < rows; r++) {
      to[r] = VectorMath.total(Vectors.load(vectors, r * LANES));
    }
  }

  /** Σ a·b of each of some rows in {@code type}, {@code stride} bytes apart. */
  static void dots(
      DType type, long a, long b, long stride, int rows, int width, float[] to, int first) {
    if (type == DType.BF16) {
      dotsNarrow(a, b, stride, rows, width, to, first);
    } else {
      dotsWide(a, b, stride, rows, width, to, first);
    }
  }

  private static void dotsNarrow(
      long a, long b, long stride, int rows, int width, float[] to, int first) {
    for (int r = 0; r < rows; r++) {
      long x = a + r * stride;
      long y = b + r * stride;
      FloatVector sum = FloatVector.zero(SPECIES);
      int i = 0;
      for (; i <= width - LANES; i += LANES) {
        sum = Vectors.widen(x, i).fma(Vectors.widen(y, i), sum);
      }
      float total = VectorMath.total(sum);
      for (; i < width; i++) {
        total += narrow(x + 2L * i) * narrow(y + 2L * i);
      }
      to[first + r] = total;
    }
  }

  private static void dotsWide(
      long a, long b, long stride, int rows, int width, float[] to, int first) {
    for (int r = 0; r < rows; r++) {
      long x = a + r * stride;
      long y = b + r * stride;
      FloatVector sum = FloatVector.zero(SPECIES);
      int i = 0;
      for (; i <= width - LANES; i += LANES) {
        sum = Vectors.load(x, i).fma(Vectors.load(y, i), sum);
      }
      float total = VectorMath.total(sum);
      for (; i < width; i++) {
        total += ALL.get(FLOAT, x + 4L * i) * ALL.get(FLOAT, y + 4L * i);
      }
      to[first + r] = total;
    }
  }

  private static float narrow(long address) {
    return Float.intBitsToFloat(ALL.get(SHORT, address) << 16);
  }
}
