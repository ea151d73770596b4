package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.BF16;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.even;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.narrow;
import static io.moextend.backend.cpu.Vectors.odd;
import static io.moextend.backend.cpu.Vectors.pairs;
import static io.moextend.backend.cpu.Vectors.store;
import static io.moextend.backend.cpu.Vectors.widen;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Pointwise loops over n numbers in whole vectors at addresses. {@code width} says whether they are
 * F32 or BF16; each type has a loop of its own, since a choice in a loop is compiled as what was
 * chosen first. BF16 goes by pairs, and what is F32 beside it is in the order of {@link PairLoops};
 * but {@link #widenTo} and {@link #narrowTo} keep the order. Each method is compiled for itself
 * (scripts/jvm.flags), as several together are more than the compiler takes whole.
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
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector x = pairs(a + at);
        narrow(even(x).mul(by), odd(x).mul(by), out + at);
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
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector x = pairs(a + at);
        IntVector y = pairs(b + at);
        narrow(even(y).fma(by, even(x)), odd(y).fma(by, odd(x)), out + at);
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
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector x = pairs(a + at);
        IntVector y = pairs(b + at);
        FloatVector evens = even(y).fma(right, even(x).mul(left));
        narrow(evens, odd(y).fma(right, odd(x).mul(left)), out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(b, i).fma(right, load(a, i).mul(left)), out, i);
      }
    }
  }

  /** out = a·b, all of one type. */
  static void product(long a, long b, long out, int width, int n) {
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector x = pairs(a + at);
        IntVector y = pairs(b + at);
        narrow(even(x).mul(even(y)), odd(x).mul(odd(y)), out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).mul(load(b, i)), out, i);
      }
    }
  }

  /** out = a·b, where a is F32. */
  static void multiply(long a, long b, long out, int width, int n) {
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector x = pairs(b + at);
        long y = a + 2 * at;
        narrow(load(y, 0).mul(even(x)), load(y, LANES).mul(odd(x)), out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).mul(load(b, i)), out, i);
      }
    }
  }

  /** out = a·b·c, where a is F32. */
  static void multiply(long a, long b, long c, long out, int width, int n) {
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector x = pairs(b + at);
        IntVector y = pairs(c + at);
        FloatVector evens = load(a + 2 * at, 0).mul(even(x)).mul(even(y));
        narrow(evens, load(a + 2 * at, LANES).mul(odd(x)).mul(odd(y)), out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).mul(load(b, i)).mul(load(c, i)), out, i);
      }
    }
  }
}
