package io.moextend.backend.cpu;

/**
 * A block of keys beside a block of queries: which query may see which, but for the mask. Where a
 * query begins and ends to see moves by one from query to query, or not at all.
 *
 * @param first key of the block
 * @param n keys in products, padding included
 * @param there keys that are no padding
 * @param from the first key the first query may see, from {@code first} on, may be negative
 * @param fromStep 1 where there is a window
 * @param until one past the last
 * @param untilStep 1 where causal
 */
record KeyBlock(
    int first, int n, int there, int queries, int from, int fromStep, int until, int untilStep) {
  /** The first key of the block a query may see. */
  int from(int query) {
    return Math.max(0, from + query * fromStep);
  }

  /** One past the last; not above {@link #from(int)} where there is none. */
  int until(int query) {
    return Math.min(there, until + query * untilStep);
  }

  /** True where each query may see each of the keys. */
  boolean allSeeAll() {
    return from(queries - 1) == 0 && until(0) == n;
  }
}
