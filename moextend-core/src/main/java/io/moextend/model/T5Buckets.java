package io.moextend.model;

import java.util.Arrays;

/**
 * Which bucket the distance of a key from a query falls into: each small one has its own, larger
 * ones share, ever wider, up to the distance from which on all are one.
 *
 * @param count of all buckets
 * @param bothWays true in the encoder, where half of them are for keys behind the query
 * @see <a href="https://arxiv.org/abs/1910.10683">Exploring the Limits of Transfer Learning</a>,
 *     section 2.1
 */
record T5Buckets(int count, int maxDistance, boolean bothWays) {
  /** What Flaxformer adds before it rounds down, so that whole powers are not missed. */
  private static final double EPSILON = Math.scalb(1.0, -23);

  /**
   * @param distance the key's position less the query's
   */
  int of(int distance) {
    if (bothWays) {
      int half = count / 2;
      return (distance > 0 ? half : 0) + far(Math.abs(distance), half);
    }
    return far(Math.max(0, -distance), count);
  }

  private int far(int distance, int buckets) {
    int exact = buckets / 2;
    if (distance < exact) {
      return distance;
    }
    double share =
        Math.log((double) distance / exact + EPSILON) / Math.log((double) maxDistance / exact);
    return Math.min(buckets - 1, exact + (int) Math.floor(share * (buckets - exact)));
  }

  /** Of query i, at position before + i, and key j of before + queries, at i·keys + j. */
  int[] table(int before, int queries) {
    int keys = Math.addExact(before, queries);
    int[] byDistance = new int[queries + keys]; // of the last query with the first key, and so on
    Arrays.setAll(byDistance, at -> of(at - keys + 1));
    int[] pairs = new int[Math.multiplyExact(queries, keys)];
    for (int i = 0; i < queries; i++) {
      System.arraycopy(byDistance, queries - 1 - i, pairs, i * keys, keys);
    }
    return pairs;
  }
}
