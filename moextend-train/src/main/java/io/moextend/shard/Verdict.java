package io.moextend.shard;

import io.moextend.comm.device.Conversation;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.BitSet;

/**
 * What all ranks make of a step's gradients, the same on each.
 *
 * @param norm global L2 norm of the gradients
 * @param touched slices to be updated
 */
record Verdict(double norm, BitSet touched) {
  /** Bits a double carries exactly with room to spare. */
  private static final int BITS = 32;

  /**
   * A collective call.
   *
   * @param sumOfSquares of this rank's pieces; added in the order of ranks
   * @param touched on this rank; combined
   * @param slices of the layout
   */
  static Verdict among(Conversation conversation, double sumOfSquares, BitSet touched, int slices) {
    double sum = 0;
    var any = new BitSet();
    for (double[] one :
        conversation.gather("gradient norm", encode(sumOfSquares, touched, slices))) {
      sum += one[0];
      decode(one, any);
    }
    return new Verdict(Math.sqrt(sum), any);
  }

  boolean updates(Slice slice) {
    return touched.get(slice.index());
  }

  private static double[] encode(double first, BitSet bits, int count) {
    double[] values = new double[1 + Math.ceilDiv(count, BITS)];
    values[0] = first;
    for (int i = bits.nextSetBit(0); i >= 0; i = bits.nextSetBit(i + 1)) {
      values[1 + i / BITS] += 1L << (i % BITS);
    }
    return values;
  }

  private static void decode(double[] values, BitSet into) {
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
