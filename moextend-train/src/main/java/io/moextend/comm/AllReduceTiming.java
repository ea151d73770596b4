package io.moextend.comm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How long all-reduces of F32 take, from one barrier to the next. Every rank calls it with the same
 * arguments; the sums are checked afterwards.
 */
public final class AllReduceTiming {
  /** Floats the plain loop holds at once; they stay in the first-level cache. */
  private static final int BLOCK = 2048;

  private AllReduceTiming() {}

  /**
   * @param bytes of the buffer, a multiple of 4
   * @param warmUp calls before the first that counts
   * @return milliseconds of each of {@code repetitions} calls
   */
  public static List<Double> collective(
      Collective collective, long bytes, int warmUp, int repetitions) {
    try (Buffer buffer = collective.buffer("timing", bytes)) {
      Buffer.Slice all = buffer.slice(Payload.F32, 0, bytes / 4);
      return timed(
          collective, buffer, warmUp, repetitions, () -> collective.allReduce("timing", all));
    }
  }

  /**
   * The same by the plainest loop over mapped memory: what the machine's memory allows. Each rank
   * adds its share of all ranks' memory and writes it into all.
   */
  public static List<Double> plainMapped(
      SharedMemoryCollective ranks, long bytes, int warmUp, int repetitions) {
    try (Buffer buffer = ranks.buffer("timing", bytes)) {
      var shares = new MemorySegment[ranks.world()];
      for (int r = 0; r < shares.length; r++) {
        shares[r] = Parts.uneven(ranks.memoryOf(buffer, r), 4, shares.length)[ranks.rank()];
      }
      return timed(ranks, buffer, warmUp, repetitions, () -> add(shares));
    }
  }

  private static void add(MemorySegment[] shares) {
    var sum = new float[BLOCK];
    var term = new float[BLOCK];
    long count = shares[0].byteSize() / 4;
    for (long at = 0; at < count; at += BLOCK) {
      int n = (int) Math.min(BLOCK, count - at);
      MemorySegment.copy(shares[0], ValueLayout.JAVA_FLOAT, 4 * at, sum, 0, n);
      for (int r = 1; r < shares.length; r++) {
        MemorySegment.copy(shares[r], ValueLayout.JAVA_FLOAT, 4 * at, term, 0, n);
        for (int i = 0; i < n; i++) {
          sum[i] += term[i];
        }
      }
      for (MemorySegment share : shares) {
        MemorySegment.copy(sum, 0, share, ValueLayout.JAVA_FLOAT, 4 * at, n);
      }
    }
  }

  private static List<Double> timed(
      Collective ranks, Buffer buffer, int warmUp, int repetitions, Runnable reduction) {
    MemorySegment mine = buffer.segment();
    long count = mine.byteSize() / 4;
    for (long i = 0; i < count; i++) {
      mine.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1);
    }
    var millis = new ArrayList<Double>();
    float expected = 1;
    for (int i = 0; i < warmUp + repetitions; i++) {
      ranks.barrier("before");
      long start = System.nanoTime();
      reduction.run();
      ranks.barrier("after");
      if (i >= warmUp) {
        millis.add((System.nanoTime() - start) / 1e6);
      }
      expected = sumOfEqual(expected, ranks.world());
    }
    check(mine, expected);
    return millis;
  }

  private static float sumOfEqual(float x, int world) {
    float sum = x;
    for (int r = 1; r < world; r++) {
      sum += x;
    }
    return sum;
  }

  private static void check(MemorySegment memory, float expected) {
    long count = memory.byteSize() / 4;
    for (long i = 0; i < count; i++) {
      float actual = memory.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      if (actual != expected) {
        throw new IllegalStateException(
            "element %d of %d is %s after all repetitions instead of %s"
                .formatted(i, count, actual, expected));
      }
    }
  }

  /**
   * Microseconds of one barrier, the median of many.
   *
   * @param repetitions after as many for warming up
   */
  public static double barrierMicros(Collective ranks, int repetitions) {
    var nanos = new long[repetitions];
    for (int i = -repetitions; i < repetitions; i++) {
      long start = System.nanoTime();
      ranks.barrier("timing");
      if (i >= 0) {
        nanos[i] = System.nanoTime() - start;
      }
    }
    Arrays.sort(nanos);
    return nanos[repetitions / 2] / 1e3;
  }
}
