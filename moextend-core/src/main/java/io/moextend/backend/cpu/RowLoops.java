package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.narrow;
import static io.moextend.backend.cpu.Vectors.store;
import static io.moextend.backend.cpu.Vectors.widen;

import jdk.incubator.vector.FloatVector;

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

  /** As {@link #turn}, of BF16. */
  static void turnBf16(long x, long cos, long sin, int half, int heads, long out) {
    int n = 2 * half * heads;
    for (int i = 0; i < half; i += LANES) {
      FloatVector c = load(cos, i);
      FloatVector s = load(sin, i);
      for (int at = i; at < n; at += 2 * half) {
        FloatVector left = widen(x, at);
        FloatVector right = widen(x, at + half);
        narrow(left.mul(c).sub(right.mul(s)), out, at);
        narrow(right.mul(c).add(left.mul(s)), out, at + half);
      }
    }
  }
}
