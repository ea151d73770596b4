package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Between BF16 and F32 in the order in which BF16 is computed with: of each {@code 2·LANES} numbers
 * those of even place first, then those of odd place. So a word with two numbers becomes two floats
 * by a shift and a mask, where the usual order takes conversions that are several times as slow. n
 * is a multiple of {@code 2·LANES}; compiled as {@link PointwiseLoops} are.
 */
final class PairLoops {
  private PairLoops() {}

  /** out, F32, = x, BF16. */
  static void unpack(long x, long out, int n) {
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector pairs = Vectors.pairs(x + at);
      store(Vectors.even(pairs), out + 2 * at, 0);
      store(Vectors.odd(pairs), out + 2 * at, LANES);
    }
  }

  /** out, BF16, = x, F32. */
  static void pack(long x, long out, int n) {
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      Vectors.narrow(load(x + 2 * at, 0), load(x + 2 * at, LANES), out + at);
    }
  }

  /**
   * Reads memory so that it is in the cache, many lines at once, where a loop that computes would
   * wait for one after the other.
   *
   * @return nothing of use, so that there is something to read for
   */
  static int touch(long address, long bytes) {
    long step = Vectors.step();
    if (bytes < step) {
      return 0;
    }
    IntVector all = Vectors.words(address);
    for (long at = step; at <= bytes - step; at += step) {
      all = all.or(Vectors.words(address + at));
    }
    return all.lane(0);
  }

  /** Brings F32 numbers into this order; out may be x. */
  static void split(long x, long out, int n) {
    for (int i = 0; i < n; i += 2 * LANES) {
      FloatVector a = load(x, i);
      FloatVector b = load(x, i + LANES);
      store(Vectors.even(a, b), out, i);
      store(Vectors.odd(a, b), out, i + LANES);
    }
  }

  /** The opposite of {@link #split}. */
  static void join(long x, long out, int n) {
    for (int i = 0; i < n; i += 2 * LANES) {
      FloatVector a = load(x, i);
      FloatVector b = load(x, i + LANES);
      store(Vectors.lower(a, b), out, i);
      store(Vectors.upper(a, b), out, i + LANES);
    }
  }
}
