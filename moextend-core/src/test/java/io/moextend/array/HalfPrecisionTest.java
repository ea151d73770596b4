package io.moextend.array;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HalfPrecisionTest {
  private static final int VALUES = 1 << 16;

  @Test
  void everyBf16ValueComesBackToTheBit() {
    for (int bits = 0; bits < VALUES; bits++) {
      float wide = HalfPrecision.fromBf16((short) bits);
      short back = HalfPrecision.toBf16(wide);
      if (Float.isNaN(wide)) {
        assertThat(HalfPrecision.fromBf16(back)).as("bits %x", bits).isNaN();
      } else {
        assertThat(back).as("bits %x", bits).isEqualTo((short) bits);
      }
    }
  }

  @Test
  void narrowingToBf16TakesTheNearestAndOfTwoTheEven() {
    long seed = 20261122;
    var random = new Random(seed);
    for (int i = 0; i < 100_000; i++) {
      float value = Float.intBitsToFloat(random.nextInt());
      if (Float.isFinite(value)) {
        assertThat(HalfPrecision.toBf16(value))
            .as("seed %d: %s", seed, value)
            .isEqualTo(nearest(value));
      }
    }
    assertThat(HalfPrecision.toBf16(Float.intBitsToFloat(0x3f808000))).isEqualTo((short) 0x3f80);
    assertThat(HalfPrecision.toBf16(Float.intBitsToFloat(0x3f818000))).isEqualTo((short) 0x3f82);
    assertThat(HalfPrecision.toBf16(Float.MAX_VALUE)).isEqualTo((short) 0x7f80);
    assertThat(HalfPrecision.toBf16(-0f)).isEqualTo((short) 0x8000);
  }

  /** The neighbour below or above in magnitude, by exact subtraction. */
  private static short nearest(float value) {
    int low = Float.floatToRawIntBits(value) >>> 16;
    int high = low + 1;
    float above = HalfPrecision.fromBf16((short) high);
    // beyond the largest, the next step would be as large as the last
    BigDecimal aboveExact =
        Float.isInfinite(above)
            ? new BigDecimal(value < 0 ? -0x1p128 : 0x1p128)
            : new BigDecimal(above);
    var exact = new BigDecimal(value);
    BigDecimal down = exact.subtract(new BigDecimal(HalfPrecision.fromBf16((short) low))).abs();
    BigDecimal up = aboveExact.subtract(exact).abs();
    int order = down.compareTo(up);
    boolean lower = order < 0 || (order == 0 && low % 2 == 0);
    return (short) (lower ? low : high);
  }

  @Test
  void aNanWhosePayloadIsLowStaysNan() {
    for (int bits : new int[] {0x7f800001, 0xff800001, 0x7fffffff, 0x7fc00000}) {
      float nan = Float.intBitsToFloat(bits);
      assertThat(HalfPrecision.fromBf16(HalfPrecision.toBf16(nan))).isNaN();
      short[] narrow = new short[1];
      HalfPrecision.toF16(new float[] {nan}, 0, narrow, 1);
      float[] wide = new float[1];
      HalfPrecision.fromF16(narrow, wide, 0, 1);
      assertThat(wide[0]).isNaN();
    }
  }

  @Test
  void wholeArraysConvertAsSingleValuesDo() {
    long seed = 7;
    var random = new Random(seed);
    float[] values = new float[1003];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat(-3, 3);
    }
    short[] bf16 = new short[1000];
    short[] f16 = new short[1000];
    HalfPrecision.toBf16(values, 3, bf16, 1000);
    HalfPrecision.toF16(values, 3, f16, 1000);
    float[] fromBf16 = new float[1003];
    float[] fromF16 = new float[1003];
    HalfPrecision.fromBf16(bf16, fromBf16, 3, 1000);
    HalfPrecision.fromF16(f16, fromF16, 3, 1000);
    for (int i = 3; i < values.length; i++) {
      assertThat(fromBf16[i]).isEqualTo(HalfPrecision.fromBf16(HalfPrecision.toBf16(values[i])));
      assertThat(fromF16[i]).isEqualTo(Float.float16ToFloat(Float.floatToFloat16(values[i])));
    }
  }
}
