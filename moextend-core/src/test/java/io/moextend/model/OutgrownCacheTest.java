package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Where Phi-3 goes over from its short factors to its long ones. */
class OutgrownCacheTest {
  @Test
  void aSequenceThatOutgrowsItsAnglesIsRunAgain() {
    var random = new Random(CachedModel.SEED);
    try (CachedModel opened = CachedModel.of("cpu", "hf/hf_phi3_longrope", 0);
        KeyValueCache cache = opened.cache(24)) {
      int[] ids = random.ints(20, 3, 96).toArray();
      int most = opened.config().rope().sameAnglesUpTo();
      assertThat(most).isEqualTo(16);
      float[][] shorter = opened.whole(Arrays.copyOf(ids, most), null, 0);
      assertThat(cache.outgrownBy(ids.length)).as("an empty one").isFalse();
      opened.extended(Arrays.copyOf(ids, 11), null, 0, cache);
      for (int t = 11; t < most; t++) {
        CachedModel.compare(
            opened.extended(CachedModel.slice(ids, t, t + 1), null, 0, cache)[0],
            shorter[t],
            "token " + t);
      }
      assertThat(cache.outgrownBy(1)).isTrue();
      assertThatThrownBy(
              () -> opened.extended(CachedModel.slice(ids, most, most + 1), null, 0, cache))
          .hasMessageContaining("1 more tokens behind 16")
          .hasMessageContaining("clear the cache");
      cache.clear();
      float[][] longer = opened.whole(ids, null, 0);
      opened.extended(Arrays.copyOf(ids, most + 1), null, 0, cache);
      for (int t = most + 1; t < ids.length; t++) {
        CachedModel.compare(
            opened.extended(CachedModel.slice(ids, t, t + 1), null, 0, cache)[0],
            longer[t],
            "token " + t);
      }
    }
  }

  @Test
  void aLongSequenceDoesNotChangeTheAnglesOfAShortOneBesideIt() {
    var random = new Random(CachedModel.SEED);
    try (CachedModel opened = CachedModel.of("cpu", "hf/hf_phi3_longrope", 0);
        KeyValueCache one = opened.cache(24);
        KeyValueCache other = opened.cache(12)) {
      int[] longer = random.ints(19, 3, 96).toArray();
      int[] shorter = random.ints(8, 3, 96).toArray();
      float[][] wantLonger = opened.whole(longer, null, 0);
      float[][] wantShorter = opened.whole(shorter, null, 0);
      opened.extended(Arrays.copyOf(longer, 18), null, 0, one);
      opened.extended(Arrays.copyOf(shorter, 7), null, 0, other);
      float[][] got = opened.extended(new int[] {longer[18], shorter[7]}, null, 0, one, other);
      CachedModel.compare(got[0], wantLonger[18], "the long one");
      CachedModel.compare(got[1], wantShorter[7], "the short one");
    }
  }
}
