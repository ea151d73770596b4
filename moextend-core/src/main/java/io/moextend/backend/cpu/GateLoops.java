package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.narrow;
import static io.moextend.backend.cpu.Vectors.store;
import static io.moextend.backend.cpu.Vectors.widen;

import jdk.incubator.vector.FloatVector;

/**
 * What a network of SiLU or its like does most, each in one loop, so that memory is waited for
 * while there is something to compute: f(x) = x·σ(u) and f'(x) = σ + u·σ·(1 - σ), where u is
 * steepness·x. Compiled as {@link PointwiseLoops} are.
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

  /** As {@link #gate}, of BF16. */
  static void gateBf16(long gate, float steepness, long up, long out, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = widen(gate, i);
      narrow(v.mul(widen(up, i)).mul(VectorMath.sigmoid(v.mul(by))), out, i);
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

  /** As {@link #derive}, of BF16. */
  static void deriveBf16(long d, long x, float steepness, long out, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector u = widen(x, i).mul(by);
      FloatVector s = VectorMath.sigmoid(u);
      narrow(s.sub(s.mul(s)).fma(u, s).mul(widen(d, i)), out, i);
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

  /** The right of {@link #gradients}, of BF16; σ, F32, for {@link #leftBf16}. */
  static void rightBf16(long d, long gate, float steepness, long sigma, long right, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector v = widen(gate, i);
      FloatVector s = VectorMath.sigmoid(v.mul(by));
      store(s, sigma, i);
      narrow(v.mul(s).mul(widen(d, i)), right, i);
    }
  }

  /** The left of {@link #gradients}, of BF16. */
  static void leftBf16(long d, long gate, float steepness, long sigma, long up, long left, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, steepness);
    for (int i = 0; i < n; i += LANES) {
      FloatVector s = load(sigma, i);
      FloatVector slope = s.sub(s.mul(s)).fma(widen(gate, i).mul(by), s);
      narrow(slope.mul(widen(up, i)).mul(widen(d, i)), left, i);
    }
  }
}
