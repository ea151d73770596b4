package io.moextend.comm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Sums over ranks: always ((x0 + x1) + x2) + …, element by element, so that the bits depend neither
 * on who adds nor on how the elements are shared out.
 */
final class RankSum {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Double> DOUBLES = DoubleVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Integer> INTS = FLOATS.withLanes(int.class);
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);

  /** Segments in an array cost a check for each vector; addresses do not. */
  private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private RankSum() {}

  /**
   * Adds {@code from} in its order and writes the sum into each of {@code to}. All are native, of
   * one size, and either the same memory or apart. F32 and BF16 are added in f32, BF16 rounded once
   * at the end to nearest even; F64 in double.
   */
  static void add(Payload payload, MemorySegment[] from, MemorySegment... to) {
    long bytes = from[0].byteSize();
    long[] in = addresses(from, bytes);
    long[] out = addresses(to, bytes);
    long n = bytes / payload.bytes();
    switch (payload) {
      case F32 -> floats(in, out, n);
      case BF16 -> halves(in, out, n);
      case F64 -> doubles(in, out, n);
      case BYTES -> throw notNumbers();
    }
  }

  /** Throws where elements cannot be added. */
  static void check(Payload payload) {
    if (payload == Payload.BYTES) {
      throw notNumbers();
    }
  }

  private static IllegalArgumentException notNumbers() {
    return new IllegalArgumentException("BYTES cannot be summed; say F32, BF16 or F64");
  }

  private static long[] addresses(MemorySegment[] segments, long bytes) {
    var addresses = new long[segments.length];
    for (int i = 0; i < segments.length; i++) {
      if (!segments[i].isNative() || segments[i].byteSize() != bytes) {
        throw new IllegalArgumentException(
            "rank %d has %d bytes, the first %d; all must be native and of one size"
                .formatted(i, segments[i].byteSize(), bytes));
      }
      addresses[i] = segments[i].address();
    }
    return addresses;
  }

  private static void floats(long[] in, long[] out, long n) {
    long whole = n - n % FLOATS.length();
    if (in.length == 2 && out.length == 2) {
      pairs(in[0], in[1], out[0], out[1], 4 * whole);
    } else {
      floatVectors(in, out, 4 * whole);
    }
    for (long at = 4 * whole; at < 4 * n; at += 4) {
      float sum = ALL.get(FLOAT, in[0] + at);
      for (int r = 1; r < in.length; r++) {
        sum += ALL.get(FLOAT, in[r] + at);
      }
      for (long address : out) {
        ALL.set(FLOAT, address + at, sum);
      }
    }
  }

  private static void floatVectors(long[] in, long[] out, long bytes) {
    for (long at = 0; at < bytes; at += 4L * FLOATS.length()) {
      FloatVector sum = FloatVector.fromMemorySegment(FLOATS, ALL, in[0] + at, ORDER);
      for (int r = 1; r < in.length; r++) {
        sum = sum.add(FloatVector.fromMemorySegment(FLOATS, ALL, in[r] + at, ORDER));
      }
      for (long address : out) {
        sum.intoMemorySegment(ALL, address + at, ORDER);
      }
    }
  }

  /** The commonest case, without inner loops. */
  private static void pairs(long in0, long in1, long out0, long out1, long bytes) {
    for (long at = 0; at < bytes; at += 4L * FLOATS.length()) {
      FloatVector sum =
          FloatVector.fromMemorySegment(FLOATS, ALL, in0 + at, ORDER)
              .add(FloatVector.fromMemorySegment(FLOATS, ALL, in1 + at, ORDER));
      sum.intoMemorySegment(ALL, out0 + at, ORDER);
      sum.intoMemorySegment(ALL, out1 + at, ORDER);
    }
  }

  private static void doubles(long[] in, long[] out, long n) {
    long whole = n - n % DOUBLES.length();
    for (long at = 0; at < 8 * whole; at += 8L * DOUBLES.length()) {
      DoubleVector sum = DoubleVector.fromMemorySegment(DOUBLES, ALL, in[0] + at, ORDER);
      for (int r = 1; r < in.length; r++) {
        sum = sum.add(DoubleVector.fromMemorySegment(DOUBLES, ALL, in[r] + at, ORDER));
      }
      for (long address : out) {
        sum.intoMemorySegment(ALL, address + at, ORDER);
      }
    }
    for (long at = 8 * whole; at < 8 * n; at += 8) {
      double sum = ALL.get(DOUBLE, in[0] + at);
      for (int r = 1; r < in.length; r++) {
        sum += ALL.get(DOUBLE, in[r] + at);
      }
      for (long address : out) {
        ALL.set(DOUBLE, address + at, sum);
      }
    }
  }

  private static void halves(long[] in, long[] out, long n) {
    long whole = n - n % FLOATS.length();
    for (long at = 0; at < 2 * whole; at += 2L * FLOATS.length()) {
      FloatVector sum = widened(in[0] + at);
      for (int r = 1; r < in.length; r++) {
        sum = sum.add(widened(in[r] + at));
      }
      ShortVector rounded = rounded(sum);
      for (long address : out) {
        rounded.intoMemorySegment(ALL, address + at, ORDER);
      }
    }
    for (long at = 2 * whole; at < 2 * n; at += 2) {
      float sum = widened(ALL.get(SHORT, in[0] + at));
      for (int r = 1; r < in.length; r++) {
        sum += widened(ALL.get(SHORT, in[r] + at));
      }
      for (long address : out) {
        ALL.set(SHORT, address + at, rounded(sum));
      }
    }
  }

  private static FloatVector widened(long address) {
    return ShortVector.fromMemorySegment(SHORTS, ALL, address, ORDER)
        .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
        .reinterpretAsInts()
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  private static ShortVector rounded(FloatVector x) {
    IntVector bits = x.reinterpretAsInts();
    IntVector upper = bits.lanewise(VectorOperators.LSHR, 16);
    IntVector nearest = bits.add(upper.and(1)).add(0x7fff).lanewise(VectorOperators.LSHR, 16);
    // Rounding could carry a NaN into infinity; a quiet bit keeps it one.
    return nearest
        .blend(upper.or(0x40), x.test(VectorOperators.IS_NAN).cast(INTS))
        .convertShape(VectorOperators.I2S, SHORTS, 0)
        .reinterpretAsShorts();
  }

  private static float widened(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  private static short rounded(float x) {
    int bits = Float.floatToRawIntBits(x);
    if (Float.isNaN(x)) {
      return (short) (bits >>> 16 | 0x40);
    }
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }
}
