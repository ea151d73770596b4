package io.moextend.data.prompted;

/** Chance from a seed and a number, without a state: the n-th draw costs as much as the first. */
final class Scramble {
  private static final long STEP = 0x9e3779b97f4a7c15L;
  private static final int ROUNDS = 6;

  private Scramble() {}

  /** SplitMix64's finish: every bit of the number reaches every bit of the result. */
  static long mix(long number) {
    long a = (number ^ (number >>> 30)) * 0xbf58476d1ce4e5b9L;
    long b = (a ^ (a >>> 27)) * 0x94d049bb133111ebL;
    return b ^ (b >>> 31);
  }

  /** A key of two numbers. */
  static long key(long seed, long number) {
    return mix(mix(seed + STEP) + number * STEP);
  }

  /** From 0 to below 1. */
  static double fraction(long bits) {
    return (bits >>> 11) * 0x1.0p-53;
  }

  /**
   * Where a key's order of {@code size} things has one: a Feistel network over the next power of
   * four, walked until it comes back below {@code size}.
   *
   * @param index from 0 to below size; different ones have different places
   */
  static int place(int index, int size, long key) {
    int half = (Integer.SIZE - Integer.numberOfLeadingZeros(size - 1) + 1) / 2;
    if (half == 0) {
      return 0;
    }
    long mask = (1L << half) - 1;
    long at = index;
    do {
      long left = at >>> half;
      long right = at & mask;
      for (int round = 1; round <= ROUNDS; round++) {
        long turned = left ^ (mix(key + round * STEP + right) & mask);
        left = right;
        right = turned;
      }
      at = left << half | right;
    } while (at >= size);
    return (int) at;
  }
}
