package io.moextend.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Whole vectors straight from and to memory that is F32 or BF16. Always compiled into the loops
 * that use them (scripts/jvm.flags): a vector handed to a call that is not has to be made an object
 * first, which takes fifty times as long as to work with it.
 */
final class Vectors {
  static final VectorSpecies<Float> SPECIES = Floats.SPECIES;

  /** Numbers of a vector. */
  static final int LANES = SPECIES.length();

  /** Bytes of a number of each type: how loops are told which it is. */
  static final int F32 = 4;

  static final int BF16 = 2;

  private static final VectorSpecies<Integer> INTS = SPECIES.withLanes(int.class);
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(SPECIES.vectorBitSize() / 2));
  private static final MemorySegment ALL = CpuArray.ALL;
  static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  // Made once: a constant made in a loop is more to compile into it than what it takes part in.
  private static final IntVector ONE = IntVector.broadcast(INTS, 1);
  private static final IntVector HALF = IntVector.broadcast(INTS, 0x8000);
  private static final IntVector BELOW_HALF = IntVector.broadcast(INTS, 0x7fff);
  private static final IntVector UPPER = IntVector.broadcast(INTS, 0xffff0000);
  private static final IntVector QUIET = IntVector.broadcast(INTS, 0x40);

  private static final VectorShuffle<Float> EVEN = VectorShuffle.fromOp(SPECIES, i -> 2 * i);
  private static final VectorShuffle<Float> ODD = VectorShuffle.fromOp(SPECIES, i -> 2 * i + 1);
  private static final VectorShuffle<Float> LOWER =
      VectorShuffle.fromOp(SPECIES, i -> i / 2 + i % 2 * LANES);
  private static final VectorShuffle<Float> UPPER_HALF =
      VectorShuffle.fromOp(SPECIES, i -> (LANES + i) / 2 + i % 2 * LANES);

  private static final long[] STEP = {SPECIES.vectorByteSize()};

  private Vectors() {}

  /**
   * Bytes of a vector, not known to the compiler. Of a loop that goes by this step it makes one
   * loop; one of a known step becomes three, an unrolled one between a head and a tail of other
   * instructions, and prefetching that goes by instructions loses its stream at every chunk.
   */
  static long step() {
    return STEP[0];
  }

  /** The {@code i}-th number from {@code address} on and those after it, F32. */
  static FloatVector load(long address, int i) {
    return FloatVector.fromMemorySegment(SPECIES, ALL, address + 4L * i, ORDER);
  }

  static void store(FloatVector x, long address, int i) {
    x.intoMemorySegment(ALL, address + 4L * i, ORDER);
  }

  /** One number, F32. */
  static float get(long address, int i) {
    return ALL.get(CpuArray.FLOAT, address + 4L * i);
  }

  static void put(long address, int i, float value) {
    ALL.set(CpuArray.FLOAT, address + 4L * i, value);
  }

  /** As {@link #load}, from BF16. */
  static FloatVector widen(long address, int i) {
    return ShortVector.fromMemorySegment(SHORTS, ALL, address + 2L * i, ORDER)
        .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
        .reinterpretAsInts()
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  /** Whole numbers of four bytes. */
  static IntVector words(long address) {
    return IntVector.fromMemorySegment(INTS, ALL, address, ORDER);
  }

  /** BF16 numbers by twos, the one of even place in the lower half of a word. */
  static IntVector pairs(long address) {
    return IntVector.fromMemorySegment(INTS, ALL, address, ORDER);
  }

  /** The numbers of even place. */
  static FloatVector even(IntVector pairs) {
    return pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  /** The numbers of odd place. */
  static FloatVector odd(IntVector pairs) {
    return pairs.and(UPPER).reinterpretAsFloats();
  }

  /**
   * Writes {@link #pairs}, to nearest even. A NaN has to be one of BF16 or of arithmetic: one with
   * other bits in its lower half could be rounded to a number.
   */
  static void narrow(FloatVector even, FloatVector odd, long address) {
    IntVector a = even.reinterpretAsInts();
    IntVector b = odd.reinterpretAsInts();
    IntVector low = a.lanewise(VectorOperators.LSHR, 16).and(ONE).add(a.add(BELOW_HALF));
    IntVector high = b.lanewise(VectorOperators.LSHR, 16).and(ONE).add(b.add(BELOW_HALF));
    low.lanewise(VectorOperators.LSHR, 16)
        .or(high.and(UPPER))
        .intoMemorySegment(ALL, address, ORDER);
  }

  /** Numbers of even place of two vectors, one after the other. */
  static FloatVector even(FloatVector a, FloatVector b) {
    return a.rearrange(EVEN, b);
  }

  static FloatVector odd(FloatVector a, FloatVector b) {
    return a.rearrange(ODD, b);
  }

  /** The lower halves of two vectors, number by number in turn. */
  static FloatVector lower(FloatVector a, FloatVector b) {
    return a.rearrange(LOWER, b);
  }

  static FloatVector upper(FloatVector a, FloatVector b) {
    return a.rearrange(UPPER_HALF, b);
  }

  /** As {@link #narrow} in fewer steps: halves away from zero; a NaN is kept that began as BF16. */
  static void narrowNumber(FloatVector x, long address, int i) {
    x.reinterpretAsInts()
        .add(HALF)
        .lanewise(VectorOperators.LSHR, 16)
        .convertShape(VectorOperators.I2S, SHORTS, 0)
        .reinterpretAsShorts()
        .intoMemorySegment(ALL, address + 2L * i, ORDER);
  }

  /** As {@link #store}, to BF16: to nearest even. */
  static void narrow(FloatVector x, long address, int i) {
    IntVector bits = x.reinterpretAsInts();
    IntVector upper = bits.lanewise(VectorOperators.LSHR, 16);
    IntVector rounded = bits.add(BELOW_HALF).add(upper.and(ONE)).lanewise(VectorOperators.LSHR, 16);
    // Rounding could carry a NaN into infinity; a quiet bit keeps it one.
    rounded
        .blend(upper.or(QUIET), x.test(VectorOperators.IS_NAN).cast(INTS))
        .convertShape(VectorOperators.I2S, SHORTS, 0)
        .reinterpretAsShorts()
        .intoMemorySegment(ALL, address + 2L * i, ORDER);
  }
}
