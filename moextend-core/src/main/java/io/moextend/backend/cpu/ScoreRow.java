package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/** One query's scores with a block of keys, in scratch memory: whole vectors, no tails. */
final class ScoreRow {
  private static final VectorSpecies<Float> SPECIES = Floats.SPECIES;
  private static final int LANES = Floats.LANES;
  private static final int KEYS = AttentionInputs.KEYS;
  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private static final float HIDDEN = Float.NEGATIVE_INFINITY;

  private ScoreRow() {}

  /**
   * Scales, adds the bias and hides what is not to be seen.
   *
   * @param row address of KEYS F32 scores, replaced
   * @param from first key of the block that is seen
   * @param until one past the last
   * @param bias address, 0 = none; read from {@code from} to {@code until} alone
   * @return the largest; -∞ where nothing is seen
   */
  static float prepare(
      long row, float scale, int from, int until, long bias, float @Nullable [] hidden) {
    FloatVector max = FloatVector.broadcast(SPECIES, HIDDEN);
    for (int i = 0; i < KEYS; i += LANES) {
      FloatVector s = load(row, i).mul(scale);
      if (bias != 0 || i < from || i + LANES > until) {
        VectorMask<Float> seen = seen(i, from, until);
        if (bias != 0) {
          s = s.add(FloatVector.fromMemorySegment(SPECIES, ALL, bias + 4L * i, ORDER, seen));
        }
        s = FloatVector.broadcast(SPECIES, HIDDEN).blend(s, seen);
      }
      if (hidden != null) {
        s = s.add(VectorMath.at(hidden, i));
      }
      s.intoMemorySegment(ALL, row + 4L * i, ORDER);
      max = VectorMath.larger(max, s);
    }
    return max.reduceLanes(VectorOperators.MAX);
  }

  /** Writes e^(score - shift) as {@code type}; returns the sum before rounding. */
  static float exponentials(long row, float shift, DType type, long to) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < KEYS; i += LANES) {
      FloatVector e = VectorMath.exp(load(row, i).sub(shift));
      sum = sum.add(e);
      store(e, type, to, i);
    }
    return VectorMath.total(sum);
  }

  /**
   * With p = e^(score - logSumExp), writes p and scale·p·(dP - delta) as {@code type}.
   *
   * @param dP address of KEYS F32; where {@code bias} is asked for it becomes p·(dP - delta)
   */
  static void gradients(
      long row,
      float logSumExp,
      long dP,
      float delta,
      float scale,
      DType type,
      long p,
      long dS,
      boolean bias) {
    for (int i = 0; i < KEYS; i += LANES) {
      FloatVector e = VectorMath.exp(load(row, i).sub(logSumExp));
      FloatVector d = load(dP, i).sub(delta).mul(e);
      store(e, type, p, i);
      store(d.mul(scale), type, dS, i);
      if (bias) {
        d.intoMemorySegment(ALL, dP + 4L * i, ORDER);
      }
    }
  }

  /** into[from, until) += what[from, until). */
  static void add(long into, long what, int from, int until) {
    for (int i = 0; i < KEYS; i += LANES) {
      VectorMask<Float> seen = seen(i, from, until);
      if (seen.anyTrue()) {
        FloatVector.fromMemorySegment(SPECIES, ALL, into + 4L * i, ORDER, seen)
            .add(load(what, i))
            .intoMemorySegment(ALL, into + 4L * i, ORDER, seen);
      }
    }
  }

  private static VectorMask<Float> seen(int i, int from, int until) {
    return SPECIES.indexInRange(i, until).andNot(SPECIES.indexInRange(i, from));
  }

  private static FloatVector load(long row, int i) {
    return FloatVector.fromMemorySegment(SPECIES, ALL, row + 4L * i, ORDER);
  }

  private static void store(FloatVector x, DType type, long to, int i) {
    if (type == DType.BF16) {
      Floats.narrow(x, to + 2L * i);
    } else {
      x.intoMemorySegment(ALL, to + 4L * i, ORDER);
    }
  }
}
