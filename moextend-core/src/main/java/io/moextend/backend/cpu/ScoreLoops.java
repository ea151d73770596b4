package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Loops over short rows of F32, such as a router's scores, {@link #ROWS} of them turned on their
 * side, so that a vector holds one column of many rows. Compiled as {@link PointwiseLoops} are.
 */
final class ScoreLoops {
  /** Rows turned at once. */
  static final int ROWS = 64;

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

  /**
   * The column of each row's first largest number that is not NaN, 0 where all are; it becomes NaN.
   *
   * @param columns [ROWS] F32
   */
  static void takeLargest(long turned, int width, long columns) {
    int end = width * ROWS;
    for (int i = 0; i < ROWS; i += LANES) {
      FloatVector most = load(turned, i);
      FloatVector which = FloatVector.zero(SPECIES);
      for (int at = i + ROWS; at < end; at += ROWS) {
        FloatVector v = load(turned, at);
        var first = most.test(VectorOperators.IS_NAN).andNot(v.test(VectorOperators.IS_NAN));
        var better = v.compare(VectorOperators.GT, most).or(first);
        most = most.blend(v, better);
        which = which.blend(FloatVector.broadcast(SPECIES, (float) (at / ROWS)), better);
      }
      store(which, columns, i);
    }
    for (int r = 0; r < ROWS; r++) {
      Vectors.put(turned, (int) Vectors.get(columns, r) * ROWS + r, Float.NaN);
    }
  }
}
