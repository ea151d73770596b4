package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The scores of a block of queries with a block of keys, in scratch memory. Scores are F32; what
 * becomes of them takes their place in the type of the inputs, from each row's start on: no vector
 * is written before it was read. Exponentials are to the base 2: what scales a score has the factor
 * log2 e in it.
 *
 * <p>A kernel takes all rows, by whole vectors: {@link #hide} sees to those at the ends of a row.
 * Each is compiled by itself (scripts/jvm.flags), as more than one would not be compiled to vectors
 * alone.
 */
final class ScoreTile {
  /** Bytes from row to row, be they of scores or of what took their place. */
  static final long ROW = 4L * AttentionInputs.KEYS;

  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final long address;
  private final QueryBlock block;
  private final KeyBlock keys;
  private final int rows;

  ScoreTile(long address, QueryBlock block, KeyBlock keys) {
    this.address = address;
    this.block = block;
    this.keys = keys;
    this.rows = block.heads() * block.padded();
  }

  long address() {
    return address;
  }

  KeyBlock keys() {
    return keys;
  }

  int rows() {
    return rows;
  }

  int query(int r) {
    return r & block.padded() - 1;
  }

  int head(int r) {
    return r / block.padded();
  }

  /** Where the first vector with a key that a row's query may see begins. */
  int low(int r) {
    return keys.from(query(r)) & -LANES;
  }

  /** Where the last such vector ends; 0 where there is none. */
  int high(int r) {
    int i = query(r);
    int until = i < block.queries() ? keys.until(i) : 0;
    return keys.from(i) < until ? (until + LANES - 1) & -LANES : 0;
  }

  /** Hides the keys a query may not see that share a vector with one it may. */
  void hide() {
    if (keys.allSeeAll()) {
      return;
    }
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      int high = high(r);
      if (high > 0) {
        for (int j = low(r); j < keys.from(query(r)); j++) {
          ALL.set(FLOAT, row + 4L * j, Float.NEGATIVE_INFINITY);
        }
        for (int j = keys.until(query(r)); j < high; j++) {
          ALL.set(FLOAT, row + 4L * j, Float.NEGATIVE_INFINITY);
        }
      }
    }
  }

  /**
   * score = factor·score + hidden.
   *
   * @param hidden address of 0 or -∞ for each key; 0 = none is
   */
  void add(float factor, long hidden) {
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      int high = high(r);
      for (int j = low(r); j < high; j += LANES) {
        FloatVector s = load(row, j).mul(factor);
        store(hidden == 0 ? s : s.add(load(hidden, j)), row, j);
      }
    }
  }

  /**
   * score = -∞ where a query and a key have different numbers.
   *
   * @param queries the number of each query
   * @param keys address of the number of each key
   */
  void addHidden(float[] queries, long keys) {
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      FloatVector own = set(queries[query(r)]);
      int high = high(r);
      for (int j = low(r); j < high; j += LANES) {
        var foreign = load(keys, j).compare(VectorOperators.NE, own);
        store(load(row, j).blend(Float.NEGATIVE_INFINITY, foreign), row, j);
      }
    }
  }

  /**
   * score = factor·score + log2 e·bias, also of some keys that a query may not see: before {@link
   * #hide}.
   */
  void addBias(float factor, AttentionInputs.BiasPlace bias) {
    FloatVector log2 = set(VectorMath.LOG2_E);
    FloatVector scale = set(factor);
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      long from = bias.row(head(r), query(r));
      int high = Math.min(high(r), keys.there());
      int j = low(r);
      for (; j <= high - LANES; j += LANES) {
        store(load(from, j).fma(log2, load(row, j).mul(scale)), row, j);
      }
      for (; j < high; j++) {
        float b = ALL.get(FLOAT, from + 4L * j);
        ALL.set(FLOAT, row + 4L * j, b * VectorMath.LOG2_E + ALL.get(FLOAT, row + 4L * j) * factor);
      }
    }
  }

  /**
   * As {@link #addBias} and {@link #maxima} one after the other, where all queries see all keys.
   */
  void maximaWithBias(float factor, AttentionInputs.BiasPlace bias, float[] to) {
    FloatVector log2 = set(VectorMath.LOG2_E);
    FloatVector scale = set(factor);
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      long from = bias.row(head(r), query(r));
      FloatVector a = set(Float.NEGATIVE_INFINITY);
      int high = high(r);
      for (int j = 0; j < high; j += LANES) {
        FloatVector s = load(from, j).fma(log2, load(row, j).mul(scale));
        store(s, row, j);
        a = VectorMath.larger(a, s);
      }
      to[r] = VectorMath.largest(a);
    }
  }

  /** The largest score of each row; -∞ where a query sees none. */
  void maxima(float[] to) {
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      FloatVector a = set(Float.NEGATIVE_INFINITY);
      FloatVector b = a;
      int high = high(r);
      int j = low(r);
      for (; j < high - LANES; j += 2 * LANES) {
        a = VectorMath.larger(a, load(row, j));
        b = VectorMath.larger(b, load(row, j + LANES));
      }
      if (j < high) {
        a = VectorMath.larger(a, load(row, j));
      }
      to[r] = VectorMath.largest(VectorMath.larger(a, b));
    }
  }

  /**
   * score becomes 2^(factor·score - shift) in {@code type}.
   *
   * @param shift of each row; -∞ = the row becomes zeros
   * @param totals a vector for each row, to which exponentials are added before rounding
   */
  void exponentials(float factor, float[] shift, DType type, long totals) {
    if (type == DType.BF16) {
      narrowExponentials(factor, shift, totals);
    } else {
      wideExponentials(factor, shift, totals);
    }
  }

  private void narrowExponentials(float factor, float[] shift, long totals) {
    FloatVector scale = set(factor);
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      int high = shift[r] == Float.NEGATIVE_INFINITY ? 0 : high(r);
      int low = low(r);
      clear(row, 0, 2 * low);
      FloatVector base = set(-shift[r]);
      FloatVector sum = load(totals, r * LANES);
      for (int j = low; j < high; j += LANES) {
        FloatVector e = VectorMath.exp2(load(row, j).fma(scale, base));
        sum = sum.add(e);
        Vectors.narrowNumber(e, row, j);
      }
      store(sum, totals, r * LANES);
      clear(row, 2 * high, 2 * keys.n());
    }
  }

  private void wideExponentials(float factor, float[] shift, long totals) {
    FloatVector scale = set(factor);
    for (int r = 0; r < rows; r++) {
      long row = address + r * ROW;
      int high = shift[r] == Float.NEGATIVE_INFINITY ? 0 : high(r);
      int low = low(r);
      clear(row, 0, 4 * low);
      FloatVector base = set(shift[r]);
      FloatVector sum = load(totals, r * LANES);
      for (int j = low; j < high; j += LANES) {
        // rounded as the largest was, whose weight is then exactly 1
        FloatVector e = VectorMath.exp2(load(row, j).mul(scale).sub(base));
        sum = sum.add(e);
        store(e, row, j);
      }
      store(sum, totals, r * LANES);
      clear(row, 4 * high, 4 * keys.n());
    }
  }

  /** Zeros from byte to byte, by vectors: up to the next whole one. */
  static void clear(long row, int from, int until) {
    FloatVector zero = FloatVector.zero(SPECIES);
    for (int i = from; i < until; i += 4 * LANES) {
      store(zero, row + i, 0);
    }
  }

  static FloatVector set(float value) {
    return FloatVector.broadcast(SPECIES, value);
  }
}
