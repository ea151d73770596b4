package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.BF16;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.narrow;
import static io.moextend.backend.cpu.Vectors.store;
import static io.moextend.backend.cpu.Vectors.widen;

import jdk.incubator.vector.FloatVector;

/**
 * Pointwise loops over n numbers in whole vectors at addresses. {@code width} says whether they are
 * F32 or BF16; each type has a loop of its own, since a choice in a loop is compiled as what was
 * chosen first. Each method is compiled for itself (scripts/jvm.flags), as several together are
 * more than the compiler takes whole.
 */
final class PointwiseLoops {
  private PointwiseLoops() {}

  /** out, F32, = a, BF16. */
  static void widenTo(long a, long out, int n) {
    for (int i = 0; i < n; i += LANES) {
      store(widen(a, i), out, i);
    }
  }

  /** out, BF16, = a, F32. */
  static void narrowTo(long a, long out, int n) {
    for (int i = 0; i < n; i += LANES) {
      narrow(load(a, i), out, i);
    }
  }

  /** out = s·a. */
  static void scale(long a, float s, long out, int width, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, s);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        narrow(widen(a, i).mul(by), out, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).mul(by), out, i);
      }
    }
  }

  /** out = a + s·b. */
  static void addScaled(long a, long b, float s, long out, int width, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, s);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        narrow(widen(b, i).fma(by, widen(a, i)), out, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(b, i).fma(by, load(a, i)), out, i);
      }
    }
  }

  /** out = s·a + t·b. */
  static void blend(long a, float s, long b, float t, long out, int width, int n) {
    FloatVector left = FloatVector.broadcast(SPECIES, s);
    FloatVector right = FloatVector.broadcast(SPECIES, t);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        narrow(widen(b, i).fma(right, widen(a, i).mul(left)), out, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(b, i).fma(right, load(a, i).mul(left)), out, i);
      }
    }
  }

  /** out = a·b, where a is F32. */
  static void multiply(long a, long b, long out, int width, int n) {
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        narrow(load(a, i).mul(widen(b, i)), out, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).mul(load(b, i)), out, i);
      }
    }
  }

  /** left = slope·up·d and right = value·d, F32. */
  static void gates(long slope, long value, long up, long d, long left, long right, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector outer = load(d, i);
      store(load(slope, i).mul(load(up, i)).mul(outer), left, i);
      store(load(value, i).mul(outer), right, i);
    }
  }

  /** As {@link #gates}, where all but slope and value is BF16. */
  static void gatesBf16(long slope, long value, long up, long d, long left, long right, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector outer = widen(d, i);
      narrow(load(slope, i).mul(widen(up, i)).mul(outer), left, i);
      narrow(load(value, i).mul(outer), right, i);
    }
  }
}
