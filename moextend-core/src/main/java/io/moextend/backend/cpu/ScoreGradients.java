package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/** What becomes of a tile of scores, and of one of their gradients' beside it, in the backward. */
final class ScoreGradients {
  private static final MemorySegment ALL = CpuArray.ALL;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private ScoreGradients() {}

  /**
   * score becomes p = 2^(factor·score - shift), and dP becomes p·(dP - delta), both in {@code
   * type}.
   */
  static void of(
      ScoreTile s, ScoreTile dP, float factor, float[] shift, float[] delta, DType type) {
    if (type == DType.BF16) {
      narrow(s, dP.address(), factor, shift, delta);
    } else {
      wide(s, dP.address(), factor, shift, delta);
    }
  }

  private static void narrow(ScoreTile s, long dP, float factor, float[] shift, float[] delta) {
    FloatVector scale = ScoreTile.set(factor);
    for (int r = 0; r < s.rows(); r++) {
      long row = s.address() + r * ScoreTile.ROW;
      long dRow = dP + r * ScoreTile.ROW;
      int high = shift[r] == Float.NEGATIVE_INFINITY ? 0 : s.high(r);
      int low = s.low(r);
      ScoreTile.clear(row, 0, 2 * low);
      ScoreTile.clear(dRow, 0, 2 * low);
      FloatVector base = ScoreTile.set(-shift[r]);
      FloatVector off = ScoreTile.set(delta[r]);
      for (int j = low; j < high; j += LANES) {
        FloatVector p = VectorMath.exp2(load(row, j).fma(scale, base));
        Vectors.narrowNumber(p, row, j);
        Vectors.narrowNumber(load(dRow, j).sub(off).mul(p), dRow, j);
      }
      ScoreTile.clear(row, 2 * high, 2 * s.keys().n());
      ScoreTile.clear(dRow, 2 * high, 2 * s.keys().n());
    }
  }

  private static void wide(ScoreTile s, long dP, float factor, float[] shift, float[] delta) {
    FloatVector scale = ScoreTile.set(factor);
    for (int r = 0; r < s.rows(); r++) {
      long row = s.address() + r * ScoreTile.ROW;
      long dRow = dP + r * ScoreTile.ROW;
      int high = shift[r] == Float.NEGATIVE_INFINITY ? 0 : s.high(r);
      int low = s.low(r);
      ScoreTile.clear(row, 0, 4 * low);
      ScoreTile.clear(dRow, 0, 4 * low);
      FloatVector base = ScoreTile.set(-shift[r]);
      FloatVector off = ScoreTile.set(delta[r]);
      for (int j = low; j < high; j += LANES) {
        FloatVector p = VectorMath.exp2(load(row, j).fma(scale, base));
        store(p, row, j);
        store(load(dRow, j).sub(off).mul(p), dRow, j);
      }
      ScoreTile.clear(row, 4 * high, 4 * s.keys().n());
      ScoreTile.clear(dRow, 4 * high, 4 * s.keys().n());
    }
  }

  /** bias += p·(dP - delta), scores and dP as they are before {@link #of}. */
  static void bias(
      ScoreTile s, ScoreTile dP, float[] shift, float[] delta, AttentionInputs.BiasPlace bias) {
    for (int r = 0; r < s.rows(); r++) {
      long row = s.address() + r * ScoreTile.ROW;
      long dRow = dP.address() + r * ScoreTile.ROW;
      long to = bias.row(s.head(r), s.query(r));
      int high = shift[r] == Float.NEGATIVE_INFINITY ? 0 : Math.min(s.high(r), s.keys().there());
      int j = s.low(r);
      for (; j <= high - LANES; j += LANES) {
        FloatVector p = VectorMath.exp2(load(row, j).sub(shift[r]));
        FloatVector d = load(dRow, j).sub(delta[r]).mul(p);
        store(load(to, j).add(d.blend(0f, p.eq(0f))), to, j);
      }
      for (; j < high; j++) {
        float p = (float) Math.exp((ALL.get(FLOAT, row + 4L * j) - shift[r]) * VectorMath.LN_2);
        float d = p == 0 ? 0 : p * (ALL.get(FLOAT, dRow + 4L * j) - delta[r]);
        ALL.set(FLOAT, to + 4L * j, ALL.get(FLOAT, to + 4L * j) + d);
      }
    }
  }

  /** As {@link #of} with scores that have no bias yet, to BF16; where all queries see all keys. */
  static void withBias(
      ScoreTile s,
      ScoreTile dP,
      float factor,
      AttentionInputs.BiasPlace bias,
      float[] shift,
      float[] delta) {
    FloatVector log2 = ScoreTile.set(VectorMath.LOG2_E);
    FloatVector scale = ScoreTile.set(factor);
    for (int r = 0; r < s.rows(); r++) {
      long row = s.address() + r * ScoreTile.ROW;
      long dRow = dP.address() + r * ScoreTile.ROW;
      long from = bias.row(s.head(r), s.query(r));
      int high = shift[r] == Float.NEGATIVE_INFINITY ? 0 : s.high(r);
      FloatVector base = ScoreTile.set(-shift[r]);
      FloatVector off = ScoreTile.set(delta[r]);
      for (int j = 0; j < high; j += LANES) {
        FloatVector biased = load(from, j).fma(log2, load(row, j).mul(scale));
        FloatVector p = VectorMath.exp2(biased.add(base));
        Vectors.narrowNumber(p, row, j);
        Vectors.narrowNumber(load(dRow, j).sub(off).mul(p), dRow, j);
      }
      ScoreTile.clear(row, 2 * high, 2 * s.keys().n());
      ScoreTile.clear(dRow, 2 * high, 2 * s.keys().n());
    }
  }
}
