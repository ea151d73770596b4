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

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Loops over one row of a norm, compiled as {@link PointwiseLoops} are. Weight and bias are F32, in
 * the order of {@link PairLoops} beside BF16; so is the mean, 0 for RMS norm.
 */
final class NormLoops {
  private NormLoops() {}

  /** out = x·inverse·weight. */
  static void scale(long x, float inverse, long weight, long out, int width, int n) {
    FloatVector by = FloatVector.broadcast(SPECIES, inverse);
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector v = pairs(x + at);
        FloatVector evens = even(v).mul(by).mul(load(weight + 2 * at, 0));
        narrow(evens, odd(v).mul(by).mul(load(weight + 2 * at, LANES)), out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(x, i).mul(by).mul(load(weight, i)), out, i);
      }
    }
  }

  /** out = (x - mean)·inverse·weight + bias. */
  static void shift(
      long x, float mean, float inverse, long weight, long bias, long out, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector by = FloatVector.broadcast(SPECIES, inverse);
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector v = pairs(x + at);
        long w = weight + 2 * at;
        long b = bias + 2 * at;
        FloatVector evens = even(v).sub(centre).mul(by).fma(load(w, 0), load(b, 0));
        FloatVector odds = odd(v).sub(centre).mul(by).fma(load(w, LANES), load(b, LANES));
        narrow(evens, odds, out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector normed = load(x, i).sub(centre).mul(by);
        store(normed.fma(load(weight, i), load(bias, i)), out, i);
      }
    }
  }

  /** Σ x; sums side by side, so that an addition need not wait for the one before. */
  static float sum(long x, int width, int n) {
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector v = pairs(x + at);
        a = a.add(even(v));
        b = b.add(odd(v));
      }
    } else {
      int whole = n - n % (2 * LANES);
      for (int i = 0; i < whole; i += 2 * LANES) {
        a = a.add(load(x, i));
        b = b.add(load(x, i + LANES));
      }
      for (int i = whole; i < n; i += LANES) {
        a = a.add(load(x, i));
      }
    }
    return VectorMath.total(a.add(b));
  }

  /** Σ (x - mean)²; what pads x has to be the mean. */
  static float squares(long x, float mean, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector pairs = pairs(x + at);
        FloatVector v = even(pairs).sub(centre);
        FloatVector w = odd(pairs).sub(centre);
        a = v.fma(v, a);
        b = w.fma(w, b);
      }
    } else {
      int whole = n - n % (2 * LANES);
      for (int i = 0; i < whole; i += 2 * LANES) {
        FloatVector v = load(x, i).sub(centre);
        FloatVector w = load(x, i + LANES).sub(centre);
        a = v.fma(v, a);
        b = w.fma(w, b);
      }
      for (int i = whole; i < n; i += LANES) {
        FloatVector v = load(x, i).sub(centre);
        a = v.fma(v, a);
      }
    }
    return VectorMath.total(a.add(b));
  }

  /** Σ d·weight. */
  static float offset(long d, long weight, int width, int n) {
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector v = pairs(d + at);
        a = even(v).fma(load(weight + 2 * at, 0), a);
        b = odd(v).fma(load(weight + 2 * at, LANES), b);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        a = load(d, i).fma(load(weight, i), a);
      }
    }
    return VectorMath.total(a.add(b));
  }

  /** Σ d·weight·(x - mean). */
  static float slope(long d, long x, float mean, long weight, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector a = FloatVector.zero(SPECIES);
    FloatVector b = a;
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector g = pairs(d + at);
        IntVector v = pairs(x + at);
        FloatVector evens = even(g).mul(load(weight + 2 * at, 0));
        FloatVector odds = odd(g).mul(load(weight + 2 * at, LANES));
        a = evens.fma(even(v).sub(centre), a);
        b = odds.fma(odd(v).sub(centre), b);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector g = load(d, i).mul(load(weight, i));
        a = g.fma(load(x, i).sub(centre), a);
      }
    }
    return VectorMath.total(a.add(b));
  }

  /** What of a row's gradient is the same for all its numbers. */
  record Row(float mean, float inverse, float offset, float slope) {}

  /** out = inverse·(d·weight - offset - (x - mean)·slope). */
  static void gradient(long d, long x, long weight, Row row, long out, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, row.mean);
    FloatVector by = FloatVector.broadcast(SPECIES, row.inverse);
    FloatVector minus = FloatVector.broadcast(SPECIES, -row.offset);
    FloatVector slope = FloatVector.broadcast(SPECIES, -row.slope);
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector g = pairs(d + at);
        IntVector v = pairs(x + at);
        FloatVector evens = even(g).fma(load(weight + 2 * at, 0), minus);
        FloatVector odds = odd(g).fma(load(weight + 2 * at, LANES), minus);
        evens = even(v).sub(centre).fma(slope, evens).mul(by);
        narrow(evens, odd(v).sub(centre).fma(slope, odds).mul(by), out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector g = load(d, i).fma(load(weight, i), minus);
        store(load(x, i).sub(centre).fma(slope, g).mul(by), out, i);
      }
    }
  }

  /** into += d·(x - mean)·inverse, where into is as a weight. */
  static void addWeight(long into, long d, long x, float mean, float inverse, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector by = FloatVector.broadcast(SPECIES, inverse);
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector g = pairs(d + at);
        IntVector v = pairs(x + at);
        FloatVector normed = even(v).sub(centre).mul(by);
        store(even(g).fma(normed, load(into + 2 * at, 0)), into + 2 * at, 0);
        normed = odd(v).sub(centre).mul(by);
        store(odd(g).fma(normed, load(into + 2 * at, LANES)), into + 2 * at, LANES);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector normed = load(x, i).sub(centre).mul(by);
        store(load(d, i).fma(normed, load(into, i)), into, i);
      }
    }
  }
}
