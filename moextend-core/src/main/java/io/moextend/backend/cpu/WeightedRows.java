package io.moextend.backend.cpu;

import io.moextend.array.DType;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/** The sum of rows of F32 or BF16, each times a weight, in F32. */
final class WeightedRows {
  private static final int LANES = Floats.LANES;

  private WeightedRows() {}

  /**
   * to[c] = Σ weights[j] · row j [c].
   *
   * @param first address of row 0
   * @param line bytes from one row to the next
   * @param count rows
   * @param width elements of a row
   */
  static void sum(
      DType type, long first, long line, int count, int width, float[] weights, float[] to) {
    int c = 0;
    if (type == DType.BF16) {
      for (; c + 2 * LANES <= width; c += 2 * LANES) {
        addPairs(first + 2L * c, line, count, weights, to, c);
      }
    } else {
      for (; c + LANES <= width; c += LANES) {
        addFloats(first + 4L * c, line, count, weights, to, c);
      }
    }
    for (; c < width; c++) {
      long at = first + (long) c * type.bytes();
      float sum = 0;
      for (int j = 0; j < count; j++) {
        sum += weights[j] * Floats.get(type, at + j * line);
      }
      to[c] = sum;
    }
  }

  /** Two rows at a time, so that one's product does not wait for the other's. */
  private static void addFloats(
      long first, long line, int count, float[] weights, float[] to, int at) {
    FloatVector a = FloatVector.zero(Floats.SPECIES);
    FloatVector b = a;
    long row = first;
    int j = 0;
    for (; j + 1 < count; j += 2, row += 2 * line) {
      a = Vectors.load(row, 0).fma(weight(weights, j), a);
      b = Vectors.load(row + line, 0).fma(weight(weights, j + 1), b);
    }
    if (j < count) {
      a = Vectors.load(row, 0).fma(weight(weights, j), a);
    }
    a.add(b).intoArray(to, at);
  }

  /** As {@link #addFloats}; what lies in words by twos is put apart at the end. */
  private static void addPairs(
      long first, long line, int count, float[] weights, float[] to, int at) {
    FloatVector a = FloatVector.zero(Floats.SPECIES);
    FloatVector b = a;
    FloatVector c = a;
    FloatVector d = a;
    long row = first;
    int j = 0;
    for (; j + 1 < count; j += 2, row += 2 * line) {
      IntVector w = Vectors.pairs(row);
      FloatVector p = weight(weights, j);
      a = Vectors.even(w).fma(p, a);
      b = Vectors.odd(w).fma(p, b);
      w = Vectors.pairs(row + line);
      p = weight(weights, j + 1);
      c = Vectors.even(w).fma(p, c);
      d = Vectors.odd(w).fma(p, d);
    }
    if (j < count) {
      IntVector w = Vectors.pairs(row);
      FloatVector p = weight(weights, j);
      a = Vectors.even(w).fma(p, a);
      b = Vectors.odd(w).fma(p, b);
    }
    FloatVector even = a.add(c);
    FloatVector odd = b.add(d);
    for (int i = 0; i < LANES; i++) {
      to[at + 2 * i] = even.lane(i);
      to[at + 2 * i + 1] = odd.lane(i);
    }
  }

  private static FloatVector weight(float[] weights, int j) {
    return FloatVector.broadcast(Floats.SPECIES, weights[j]);
  }
}
