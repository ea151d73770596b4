package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.even;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.narrow;
import static io.moextend.backend.cpu.Vectors.odd;
import static io.moextend.backend.cpu.Vectors.pairs;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/** Loops over rows of heads, compiled as {@link PointwiseLoops} are. */
final class RowLoops {
  private RowLoops() {}

  /**
   * Turns the two halves of each head: out is x·cos - y·sin beside y·cos + x·sin.
   *
   * @param half numbers of half a head, a multiple of a vector's
   * @param cos [half] F32, as is {@code sin}
   */
  static void turn(long x, long cos, long sin, int half, int heads, long out) {
    int n = 2 * half * heads;
    for (int i = 0; i < half; i += LANES) {
      FloatVector c = load(cos, i);
      FloatVector s = load(sin, i);
      for (int at = i; at < n; at += 2 * half) {
        FloatVector left = load(x, at);
        FloatVector right = load(x, at + half);
        store(left.mul(c).sub(right.mul(s)), out, at);
        store(right.mul(c).add(left.mul(s)), out, at + half);
      }
    }
  }

  /**
   * As {@link #turn}, of BF16.
   *
   * @param half a multiple of two vectors' numbers
   * @param cos in the order of {@link PairLoops}, as is {@code sin}
   */
  static void turnBf16(long x, long cos, long sin, int half, int heads, long out) {
    long step = Vectors.step();
    long line = 2L * half;
    for (long at = 0; at < line; at += step) {
      FloatVector c = load(cos + 2 * at, 0);
      FloatVector d = load(cos + 2 * at, LANES);
      FloatVector s = load(sin + 2 * at, 0);
      FloatVector t = load(sin + 2 * at, LANES);
      FloatVector minusS = s.neg();
      FloatVector minusT = t.neg();
      long end = at + 2 * line * heads;
      for (long head = at; head < end; head += 2 * line) {
        IntVector left = pairs(x + head);
        IntVector right = pairs(x + head + line);
        FloatVector a = even(left);
        FloatVector b = even(right);
        FloatVector e = odd(left);
        FloatVector f = odd(right);
        narrow(b.fma(minusS, a.mul(c)), f.fma(minusT, e.mul(d)), out + head);
        narrow(a.fma(s, b.mul(c)), e.fma(t, f.mul(d)), out + head + line);
      }
    }
  }
}
