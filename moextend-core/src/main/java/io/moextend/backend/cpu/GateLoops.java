package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.CpuArray.ALL;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.ORDER;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.even;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.narrow;
import static io.moextend.backend.cpu.Vectors.odd;
import static io.moextend.backend.cpu.Vectors.pairs;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * What a network of SiLU or its like does most: f(x) = x·σ(u) and f'(x) = σ + u·σ·(1 - σ), where u
 * is steepness·x. F32 in one loop, so that memory is waited for while there is something to
 * compute; BF16 in two, since of two σ side by side and what is made of them the compiler does not
 * take all. Compiled as {@link PointwiseLoops} are.
 */
final class GateLoops {
  private GateLoops() {}

  /** out = f(gate)·up, F32. */
  static void gate(long gate, float steepness, long up, long out, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(gate, i);
      store(v.mul(load(up, i)).mul(VectorMath.sigmoid(v.mul(by))), out, i);
    }
  }

  /** out = d·f'(x), F32. */
  static void derive(long d, long x, float steepness, long out, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector u = load(x, i).mul(by);
      FloatVector s = VectorMath.sigmoid(u);
      store(s.sub(s.mul(s)).fma(u, s).mul(load(d, i)), out, i);
    }
  }

  /**
   * As {@link #derive}, of BF16.
   *
   * @param sigma of {@link #sigmas}
   */
  static void deriveBf16(long d, long x, float steepness, long sigma, long out, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector v = pairs(x + at);
      IntVector outer = pairs(d + at);
      FloatVector s = load(sigma + 2 * at, 0);
      FloatVector t = load(sigma + 2 * at, LANES);
      FloatVector evens = s.sub(s.mul(s)).fma(even(v).mul(by), s).mul(even(outer));
      FloatVector odds = t.sub(t.mul(t)).fma(odd(v).mul(by), t).mul(odd(outer));
      narrow(evens, odds, out + at);
    }
  }

  /** left = d·up·f'(gate) and right = d·f(gate), F32. */
  static void gradients(long d, long gate, float steepness, long up, long left, long right, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = load(gate, i);
      FloatVector u = v.mul(by);
      FloatVector s = VectorMath.sigmoid(u);
      FloatVector outer = load(d, i);
      store(s.sub(s.mul(s)).fma(u, s).mul(load(up, i)).mul(outer), left, i);
      store(v.mul(s).mul(outer), right, i);
    }
  }

  /**
   * The left of {@link #gradients}, of BF16.
   *
   * @param sigma of {@link #sigmas}; becomes f(gate)
   */
  static void leftBf16(long d, long gate, float steepness, long sigma, long up, long left, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector pairs = pairs(gate + at);
      IntVector w = pairs(up + at);
      IntVector outer = pairs(d + at);
      FloatVector v = even(pairs);
      FloatVector s = load(sigma + 2 * at, 0);
      store(v.mul(s), sigma + 2 * at, 0);
      FloatVector evens = s.sub(s.mul(s)).fma(v.mul(by), s).mul(even(w)).mul(even(outer));
      v = odd(pairs);
      s = load(sigma + 2 * at, LANES);
      store(v.mul(s), sigma + 2 * at, LANES);
      FloatVector odds = s.sub(s.mul(s)).fma(v.mul(by), s).mul(odd(w)).mul(odd(outer));
      narrow(evens, odds, left + at);
    }
  }

  /** σ(u) of BF16 numbers, F32 in the order of {@link PairLoops}. */
  static void sigmas(long x, float steepness, long sigma, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    long step = Vectors.step();
    for (long at = 0; at < 2L * n; at += step) {
      IntVector v = pairs(x + at);
      store(VectorMath.sigmoid(even(v).mul(by)), sigma + 2 * at, 0);
      // not store: after two of these no more of our methods are compiled into a loop
      VectorMath.sigmoid(odd(v).mul(by)).intoMemorySegment(ALL, sigma + 2 * at + step, ORDER);
    }
  }
}
