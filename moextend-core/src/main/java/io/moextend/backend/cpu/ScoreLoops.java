package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Loops over short rows of F32, such as a router's scores, {@link #ROWS} of them turned on their
 * side, so that a vector holds one column of many rows. Compiled as {@link PointwiseLoops} are.
 */
final class ScoreLoops {
  /** Rows turned at once. */
  static final int ROWS = 64;

  /** The key of a number that is not to be chosen. */
  private static final IntVector NONE =
      IntVector.broadcast(SPECIES.withLanes(int.class), Integer.MIN_VALUE);

  private ScoreLoops() {}

  /** turned [width, ROWS] = rows [n, width]; what lies beyond n is left as it was. */
  static void turn(long rows, int width, int n, long turned) {
    for (int r = 0; r < n; r++) {
      long row = rows + 4L * r * width;
      for (int c = 0; c < width; c++) {
        Vectors.put(turned, c * ROWS + r, Vectors.get(row, c));
      }
    }
  }

  /** The opposite of {@link #turn}. */
  static void turnBack(long turned, int width, int n, long rows) {
    for (int r = 0; r < n; r++) {
      long row = rows + 4L * r * width;
      for (int c = 0; c < width; c++) {
        Vectors.put(row, c, Vectors.get(turned, c * ROWS + r));
      }
    }
  }

  /**
   * Numbers of even place first, then those of odd place: their places' bits turned by one. As many
   * times as a row's length has bits, and rows of a power of two are turned on their side.
   *
   * @param n a multiple of two vectors' numbers
   */
  static void part(long from, long to, int n) {
    for (int i = 0; i < n; i += 2 * LANES) {
      FloatVector a = load(from, i);
      FloatVector b = load(from, i + LANES);
      store(Vectors.even(a, b), to, i / 2);
      store(Vectors.odd(a, b), to, (n + i) / 2);
    }
  }

  /** The opposite of {@link #part}. */
  static void interleave(long from, long to, int n) {
    for (int i = 0; i < n; i += 2 * LANES) {
      FloatVector a = load(from, i / 2);
      FloatVector b = load(from, (n + i) / 2);
      store(Vectors.lower(a, b), to, i);
      store(Vectors.upper(a, b), to, i + LANES);
    }
  }

  /**
   * Copies n rows of at most a vector's length to places {@code stride} apart that were {@code
   * line} apart; of what lies between rows anything may become.
   */
  static void space(long from, int line, long to, int stride, int n) {
    int least = Math.min(line, stride);
    int last = Math.max(0, n - LANES / least);
    for (int r = 0; r < last; r++) { // up to a vector too much, which the next rows put right
      store(load(from, r * line), to, r * stride);
    }
    for (int r = last; r < n; r++) {
      for (int c = 0; c < least; c++) {
        Vectors.put(to, r * stride + c, Vectors.get(from, r * line + c));
      }
    }
  }

  /** Softmax of each row, in place. */
  static void softmax(long turned, int width) {
    int end = width * ROWS;
    for (int i = 0; i < ROWS; i += LANES) {
      FloatVector most = load(turned, i);
      for (int at = i + ROWS; at < end; at += ROWS) {
        most = VectorMath.larger(most, load(turned, at));
      }
      FloatVector sum = FloatVector.zero(SPECIES);
      for (int at = i; at < end; at += ROWS) {
        FloatVector e = VectorMath.exp(load(turned, at).sub(most));
        store(e, turned, at);
        sum = sum.add(e);
      }
      FloatVector by = FloatVector.broadcast(SPECIES, 1f).div(sum);
      for (int at = i; at < end; at += ROWS) {
        store(load(turned, at).mul(by), turned, at);
      }
    }
  }

  /** d = p·(d - Σ d·p) of each row. */
  static void softmaxGradient(long d, long p, int width) {
    int end = width * ROWS;
    for (int i = 0; i < ROWS; i += LANES) {
      FloatVector mean = FloatVector.zero(SPECIES);
      for (int at = i; at < end; at += ROWS) {
        mean = load(d, at).fma(load(p, at), mean);
      }
      for (int at = i; at < end; at += ROWS) {
        store(load(d, at).sub(mean).mul(load(p, at)), d, at);
      }
    }
  }

  /** Numbers become whole ones of the same order, in place; NaN the least of all. */
  static void keys(long turned, int width) {
    for (int i = 0; i < width * ROWS; i += LANES) {
      FloatVector v = load(turned, i).add(0f); // 0 and -0 are equal
      IntVector bits = v.reinterpretAsInts();
      IntVector key = bits.lanewise(VectorOperators.ASHR, 31).lanewise(VectorOperators.LSHR, 1);
      key.lanewise(VectorOperators.XOR, bits)
          .blend(NONE, v.test(VectorOperators.IS_NAN).cast(NONE.species()))
          .intoMemorySegment(CpuArray.ALL, turned + 4L * i, Vectors.ORDER);
    }
  }

  /**
   * The column of each row's first largest key, 0 where all are NaN's; it becomes NaN's.
   *
   * @param columns [ROWS] I32
   */
  static void takeLargest(long turned, int width, long columns) {
    long line = 4L * ROWS;
    long end = turned + width * line;
    for (int i = 0; i < ROWS; i += LANES) {
      IntVector most = Vectors.words(turned + 4L * i);
      IntVector which = IntVector.zero(NONE.species());
      IntVector column = which;
      for (long at = turned + 4L * i + line; at < end; at += line) {
        IntVector key = Vectors.words(at);
        column = column.add(1);
        which = which.blend(column, key.compare(VectorOperators.GT, most));
        most = most.max(key);
      }
      which.intoMemorySegment(CpuArray.ALL, columns + 4L * i, Vectors.ORDER);
      column = IntVector.zero(NONE.species());
      for (long at = turned + 4L * i; at < end; at += line) {
        IntVector key = Vectors.words(at);
        key.blend(NONE, which.compare(VectorOperators.EQ, column))
            .intoMemorySegment(CpuArray.ALL, at, Vectors.ORDER);
        column = column.add(1);
      }
    }
  }
}
