package io.moextend.data;

/** Orders drawn from a seed: SplitMix64 written out, for none may change with the Java version. */
final class Shuffle {
  private static final long STEP = 0x9e3779b97f4a7c15L;

  private long state;

  private Shuffle(long state) {
    this.state = state;
  }

  /** What one epoch of a run draws from. */
  static Shuffle of(long seed, long epoch) {
    return new Shuffle(mix(seed) ^ mix(~epoch));
  }

  /** Puts some numbers into an order in which every place is as likely for each. */
  void apply(int[] order) {
    for (int i = order.length - 1; i > 0; i--) {
      state += STEP;
      int j = (int) Math.unsignedMultiplyHigh(mix(state), i + 1L);
      int swapped = order[i];
      order[i] = order[j];
      order[j] = swapped;
    }
  }

  private static long mix(long z) {
    long a = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    long b = (a ^ (a >>> 27)) * 0x94d049bb133111ebL;
    return b ^ (b >>> 31);
  }
}
