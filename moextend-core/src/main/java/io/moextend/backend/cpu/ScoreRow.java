package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/**
 * One query's scores with a block of keys, in scratch memory. Scores are F32; what becomes of them
 * takes their place in the type of the inputs, from the row's start on: no vector is written before
 * it was read. Kernels take whole vectors; {@link #hide} sees to those at the ends.
 *
 * <p>Exponentials are to the base 2: what scales a score has the factor log2 e in it.
 */
final class ScoreRow {
  private static final VectorSpecies<Float> SPECIES = Floats.SPECIES;
  private static final int LANES = Floats.LANES;
  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

  private ScoreRow() {}

  /** Where the vector a key lies in begins. */
  static int down(int key) {
    return key & -LANES;
  }

  /** Where the first vector at or after a key begins. */
  static int up(int key) {
    return (key + LANES - 1) & -LANES;
  }

  /**
   * Hides the keys before {@code from} and from {@code until} on that share a vector with others.
   */
  static void hide(long row, int from, int until) {
    for (int i = down(from); i < from; i++) {
      ALL.set(FLOAT, row + 4L * i, Float.NEGATIVE_INFINITY);
    }
    for (int i = until; i < up(until); i++) {
      ALL.set(FLOAT, row + 4L * i, Float.NEGATIVE_INFINITY);
    }
  }

  /**
   * score = factor·score + log2 e·bias + hidden.
   *
   * @param bias address of the block's first key, 0 = none; read from {@code from} to {@code until}
   * @param hidden address of 0 or -∞ for each key, 0 = none
   */
  static void add(long row, int from, int until, float factor, long bias, long hidden) {
    for (int i = down(from); i < until; i += LANES) {
      FloatVector s = load(row, i).mul(factor);
      if (bias != 0) {
        FloatVector b =
            FloatVector.fromMemorySegment(SPECIES, ALL, bias + 4L * i, ORDER, seen(i, from, until));
        s = b.fma(set(VectorMath.LOG2_E), s);
      }
      if (hidden != 0) {
        s = s.add(load(hidden, i));
      }
      store(s, row, i);
    }
  }

  /** The largest score. */
  static float max(long row, int from, int until) {
    FloatVector max = set(Float.NEGATIVE_INFINITY);
    for (int i = from; i < until; i += LANES) {
      max = VectorMath.larger(max, load(row, i));
    }
    return VectorMath.largest(max);
  }

  /**
   * score becomes 2^(factor·score - shift) in {@code type}.
   *
   * @param sums address of a vector the exponentials are added to, before rounding
   */
  static void exponentials(
      long row, int from, int until, float factor, float shift, DType type, long sums) {
    if (type == DType.BF16) {
      narrowExponentials(row, from, until, factor, shift, sums);
    } else {
      wideExponentials(row, from, until, factor, shift, sums);
    }
  }

  private static void narrowExponentials(
      long row, int from, int until, float factor, float shift, long sums) {
    FloatVector scale = set(factor);
    FloatVector base = set(-shift);
    FloatVector sum = load(sums, 0);
    for (int i = from; i < until; i += LANES) {
      FloatVector e = VectorMath.exp2(load(row, i).fma(scale, base));
      sum = sum.add(e);
      Floats.narrowNumber(e, row + 2L * i);
    }
    store(sum, sums, 0);
  }

  private static void wideExponentials(
      long row, int from, int until, float factor, float shift, long sums) {
    FloatVector scale = set(factor);
    FloatVector base = set(shift);
    FloatVector sum = load(sums, 0);
    for (int i = from; i < until; i += LANES) {
      // rounded as the largest was, whose weight is then exactly 1
      FloatVector e = VectorMath.exp2(load(row, i).mul(scale).sub(base));
      sum = sum.add(e);
      store(e, row, i);
    }
    store(sum, sums, 0);
  }

  /** What a row's gradients are made of: p = 2^(factor·score - shift), dS = p·(dP - delta). */
  record Slope(float factor, float shift, float delta) {}

  /** score becomes p and dP becomes dS, both in {@code type}. */
  static void gradients(long row, long dP, int from, int until, Slope slope, DType type) {
    if (type == DType.BF16) {
      narrowGradients(row, dP, from, until, slope);
    } else {
      wideGradients(row, dP, from, until, slope);
    }
  }

  private static void narrowGradients(long row, long dP, int from, int until, Slope slope) {
    FloatVector factor = set(slope.factor);
    FloatVector base = set(-slope.shift);
    FloatVector delta = set(slope.delta);
    for (int i = from; i < until; i += LANES) {
      FloatVector p = VectorMath.exp2(load(row, i).fma(factor, base));
      Floats.narrowNumber(p, row + 2L * i);
      Floats.narrowNumber(load(dP, i).sub(delta).mul(p), dP + 2L * i);
    }
  }

  private static void wideGradients(long row, long dP, int from, int until, Slope slope) {
    FloatVector factor = set(slope.factor);
    FloatVector base = set(-slope.shift);
    FloatVector delta = set(slope.delta);
    for (int i = from; i < until; i += LANES) {
      FloatVector p = VectorMath.exp2(load(row, i).fma(factor, base));
      store(p, row, i);
      store(load(dP, i).sub(delta).mul(p), dP, i);
    }
  }

  /** bias += p·(dP - delta), scores and dP as they are before {@link #gradients}. */
  static void addTo(long bias, long row, long dP, int from, int until, Slope slope) {
    for (int i = down(from); i < until; i += LANES) {
      VectorMask<Float> seen = seen(i, from, until);
      FloatVector p = VectorMath.exp2(load(row, i).mul(slope.factor).sub(slope.shift));
      FloatVector.fromMemorySegment(SPECIES, ALL, bias + 4L * i, ORDER, seen)
          .add(load(dP, i).sub(slope.delta).mul(p))
          .intoMemorySegment(ALL, bias + 4L * i, ORDER, seen);
    }
  }

  private static VectorMask<Float> seen(int i, int from, int until) {
    return SPECIES.indexInRange(i, until).andNot(SPECIES.indexInRange(i, from));
  }

  private static FloatVector set(float value) {
    return FloatVector.broadcast(SPECIES, value);
  }

  private static FloatVector load(long row, int i) {
    return FloatVector.fromMemorySegment(SPECIES, ALL, row + 4L * i, ORDER);
  }

  private static void store(FloatVector x, long row, int i) {
    x.intoMemorySegment(ALL, row + 4L * i, ORDER);
  }
}
