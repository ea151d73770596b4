package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class T5BucketsTest {
  @Test
  void distancesFallIntoTheOriginalsBuckets() {
    var encoder = new T5Buckets(32, 128, true);
    int[] starts = {8, 12, 16, 23, 32, 46, 64, 91};
    for (int d = 0; d < 2000; d++) {
      int want = d < 8 ? d : 7;
      for (int start : starts) {
        want += d >= start ? 1 : 0;
      }
      assertThat(encoder.of(-d)).as("-%d", d).isEqualTo(want);
      assertThat(encoder.of(d)).as("%d", d).isEqualTo(d == 0 ? 0 : 16 + want);
    }
    var decoder = new T5Buckets(32, 128, false);
    int[] later = {16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
    for (int d = 0; d < 2000; d++) {
      int want = Math.min(d, 15);
      for (int start : later) {
        want += d >= start ? 1 : 0;
      }
      assertThat(decoder.of(-d)).as("-%d", d).isEqualTo(want);
      assertThat(decoder.of(d)).isZero();
    }
  }
}
