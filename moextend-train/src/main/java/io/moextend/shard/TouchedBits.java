package io.moextend.shard;

import java.util.BitSet;

/** Which parameters a rank has gradients of, beside another number, as doubles to be gathered. */
final class TouchedBits {
  /** Bits a double carries exactly with room to spare. */
  private static final int BITS = 32;

  private TouchedBits() {}

  static double[] encode(double first, BitSet bits, int count) {
    double[] values = new double[1 + Math.ceilDiv(count, BITS)];
    values[0] = first;
    for (int i = bits.nextSetBit(0); i >= 0; i = bits.nextSetBit(i + 1)) {
      values[1 + i / BITS] += 1L << (i % BITS);
    }
    return values;
  }

  /** Adds the bits of {@code values} to {@code into}. */
  static void decode(double[] values, BitSet into) {
    for (int word = 1; word < values.length; word++) {
      long bits = (long) values[word];
      for (int i = 0; i < BITS; i++) {
        if ((bits & (1L << i)) != 0) {
          into.set((word - 1) * BITS + i);
        }
      }
    }
  }
}
