package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;

/** Loops over whole vectors of F32 in memory, compiled as {@link PointwiseLoops} are. */
final class AdafactorLoops {
  private AdafactorLoops() {}

  /** v = decay·v + mixing·((s·g)² + eps). @return Σ (s·g)² / v */
  static float squares(long v, long g, float s, float decay, float mixing, float eps, int n) {
    FloatVector scale = FloatVector.broadcast(SPECIES, s);
    FloatVector old = FloatVector.broadcast(SPECIES, decay);
    FloatVector fresh = FloatVector.broadcast(SPECIES, mixing);
    FloatVector least = FloatVector.broadcast(SPECIES, eps);
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < n; i += LANES) {
      FloatVector x = load(g, i).mul(scale);
      FloatVector square = x.mul(x);
      FloatVector kept = load(v, i).mul(old).add(square.add(least).mul(fresh));
      store(kept, v, i);
      sum = sum.add(square.div(kept));
    }
    return VectorMath.total(sum);
  }

  /** w -= by·g / √v */
  static void move(long w, long v, long g, float by, int n) {
    FloatVector rate = FloatVector.broadcast(SPECIES, by);
    for (int i = 0; i < n; i += LANES) {
      FloatVector step = load(g, i).mul(rate).div(load(v, i).sqrt());
      store(load(w, i).sub(step), w, i);
    }
  }

  /** into += (s·g)². @return Σ (s·g)² */
  static float addSquares(long into, long g, float s, int n) {
    FloatVector scale = FloatVector.broadcast(SPECIES, s);
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < n; i += LANES) {
      FloatVector x = load(g, i).mul(scale);
      FloatVector square = x.mul(x);
      store(load(into, i).add(square), into, i);
      sum = sum.add(square);
    }
    return VectorMath.total(sum);
  }

  /** Σ (s·g·c)² */
  static float weighted(long g, float s, long c, int n) {
    FloatVector scale = FloatVector.broadcast(SPECIES, s);
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int i = 0; i < n; i += LANES) {
      FloatVector x = load(g, i).mul(scale).mul(load(c, i));
      sum = x.fma(x, sum);
    }
    return VectorMath.total(sum);
  }

  /** w -= by·g·c */
  static void moveWeighted(long w, long g, float by, long c, int n) {
    FloatVector rate = FloatVector.broadcast(SPECIES, by);
    for (int i = 0; i < n; i += LANES) {
      FloatVector step = load(g, i).mul(rate).mul(load(c, i));
      store(load(w, i).sub(step), w, i);
    }
  }
}
