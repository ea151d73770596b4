package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The fast sums against loops over single elements. */
class RankSumTest {
  private final long seed = new Random().nextLong();

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F64"})
  void sumsHaveTheBitsOfAPlainLoopForAnyCountAndNumberOfRanks(Payload payload) {
    for (int world = 1; world <= 6; world++) {
      for (int count : new int[] {0, 1, 2, 7, 15, 16, 17, 31, 33, 64, 1001}) {
        agrees(payload, world, count);
      }
    }
  }

  private void agrees(Payload payload, int world, int count) {
    int bytes = count * payload.bytes();
    try (Arena arena = Arena.ofConfined()) {
      var plain = new ByteBuffer[world];
      var ranks = new MemorySegment[world];
      for (int r = 0; r < world; r++) {
        plain[r] = PlainLoops.inputs(payload, seed + count, r, bytes);
        // neither vectors nor elements aligned to anything
        ranks[r] = arena.allocate(bytes + 64).asSlice(1 + 2 * r, bytes);
        ranks[r].copyFrom(MemorySegment.ofBuffer(plain[r]));
      }
      ByteBuffer expected = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < count; i++) {
        PlainLoops.set(expected, payload, i, PlainLoops.sum(payload, plain, i, 1));
      }
      MemorySegment apart = arena.allocate(bytes);
      RankSum.add(payload, ranks, apart);
      RankSum.add(payload, ranks, ranks);
      String where = "%s, %d ranks, %d elements, seed %d".formatted(payload, world, count, seed);
      assertThat(bytesOf(apart)).as(where).isEqualTo(expected.array());
      for (MemorySegment rank : ranks) {
        assertThat(bytesOf(rank)).as(where).isEqualTo(expected.array());
      }
    }
  }

  private static byte[] bytesOf(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_BYTE);
  }

  @Test
  void bf16IsRoundedOnceAtTheEndToNearestEven() {
    // 1 + 2^-9 + 2^-9 = 1 + 2^-8: a tie that goes to 1; each rounded alone would be 1 as well,
    // but with a third 2^-9 the sum is past the tie
    assertThat(bf16Sum(1f, 0x1p-9f, 0x1p-9f)).isEqualTo(1f);
    assertThat(bf16Sum(1f, 0x1p-9f, 0x1p-9f, 0x1p-9f)).isEqualTo(1f + 0x1p-7f);
    assertThat(bf16Sum(1f + 0x1p-7f, 0x1p-8f)).isEqualTo(1f + 0x1p-6f);
    assertThat(bf16Sum(0x1.FEp127f, 0x1.FEp127f)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(bf16Sum(Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)).isNaN();
    assertThat(bf16Sum(Float.intBitsToFloat(0x7fff0000), 0f)).isNaN();
  }

  /** The same for an element in a vector and for one that is left over. */
  private static float bf16Sum(float... terms) {
    int count = 33;
    try (Arena arena = Arena.ofConfined()) {
      var ranks = new MemorySegment[terms.length];
      for (int r = 0; r < terms.length; r++) {
        ranks[r] = arena.allocate(2L * count, 2);
        for (int i = 0; i < count; i++) {
          short bits = (short) (Float.floatToRawIntBits(terms[r]) >>> 16);
          ranks[r].setAtIndex(ValueLayout.JAVA_SHORT, i, bits);
        }
      }
      MemorySegment sum = arena.allocate(2L * count, 2);
      RankSum.add(Payload.BF16, ranks, sum);
      float first = Float.intBitsToFloat(sum.getAtIndex(ValueLayout.JAVA_SHORT, 0) << 16);
      float last = Float.intBitsToFloat(sum.getAtIndex(ValueLayout.JAVA_SHORT, 32) << 16);
      assertThat(Float.compare(last, first)).isZero();
      return first;
    }
  }

  @Test
  void memoryOfDifferentSizesIsRefused() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] ranks = {arena.allocate(64), arena.allocate(60)};
      assertThatThrownBy(() -> RankSum.add(Payload.F32, ranks, ranks))
          .hasMessage("rank 1 has 60 bytes, the first 64; all must be native and of one size");
    }
  }
}
