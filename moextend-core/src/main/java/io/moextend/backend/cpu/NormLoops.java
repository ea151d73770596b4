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
 * Loops over one row of a norm, compiled as {@link PointwiseLoops} are. Weight and bias are F32, as
 * is the mean, 0 for RMS norm.
 */
final class NormLoops {
  private NormLoops() {}

  /** out = (x - mean)·inverse·weight. */
  static void scale(long x, float mean, float inverse, long weight, long out, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector by = FloatVector.broadcast(SPECIES, inverse);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        narrow(widen(x, i).sub(centre).mul(by).mul(load(weight, i)), out, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(x, i).sub(centre).mul(by).mul(load(weight, i)), out, i);
      }
    }
  }

  /** out = (x - mean)·inverse·weight + bias. */
  static void shift(
      long x, float mean, float inverse, long weight, long bias, long out, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector by = FloatVector.broadcast(SPECIES, inverse);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector normed = widen(x, i).sub(centre).mul(by);
        narrow(normed.fma(load(weight, i), load(bias, i)), out, i);
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
    FloatVector even = FloatVector.zero(SPECIES);
    FloatVector odd = even;
    int whole = n - n % (2 * LANES);
    if (width == BF16) {
      for (int i = 0; i < whole; i += 2 * LANES) {
        even = even.add(widen(x, i));
        odd = odd.add(widen(x, i + LANES));
      }
      for (int i = whole; i < n; i += LANES) {
        even = even.add(widen(x, i));
      }
    } else {
      for (int i = 0; i < whole; i += 2 * LANES) {
        even = even.add(load(x, i));
        odd = odd.add(load(x, i + LANES));
      }
      for (int i = whole; i < n; i += LANES) {
        even = even.add(load(x, i));
      }
    }
    return VectorMath.total(even.add(odd));
  }

  /** Σ (x - mean)², F32; what pads x has to be the mean. */
  static float squares(long x, float mean, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector even = FloatVector.zero(SPECIES);
    FloatVector odd = even;
    int whole = n - n % (2 * LANES);
    for (int i = 0; i < whole; i += 2 * LANES) {
      FloatVector v = load(x, i).sub(centre);
      FloatVector w = load(x, i + LANES).sub(centre);
      even = v.fma(v, even);
      odd = w.fma(w, odd);
    }
    for (int i = whole; i < n; i += LANES) {
      FloatVector v = load(x, i).sub(centre);
      even = v.fma(v, even);
    }
    return VectorMath.total(even.add(odd));
  }

  /** As {@link #squares}, of BF16. */
  static float squaresBf16(long x, float mean, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector even = FloatVector.zero(SPECIES);
    FloatVector odd = even;
    int whole = n - n % (2 * LANES);
    for (int i = 0; i < whole; i += 2 * LANES) {
      FloatVector v = widen(x, i).sub(centre);
      FloatVector w = widen(x, i + LANES).sub(centre);
      even = v.fma(v, even);
      odd = w.fma(w, odd);
    }
    for (int i = whole; i < n; i += LANES) {
      FloatVector v = widen(x, i).sub(centre);
      even = v.fma(v, even);
    }
    return VectorMath.total(even.add(odd));
  }

  /** Σ d·weight. */
  static float offset(long d, long weight, int width, int n) {
    FloatVector sum = FloatVector.zero(SPECIES);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        sum = widen(d, i).fma(load(weight, i), sum);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        sum = load(d, i).fma(load(weight, i), sum);
      }
    }
    return VectorMath.total(sum);
  }

  /** Σ d·weight·(x - mean). */
  static float slope(long d, long x, float mean, long weight, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector sum = FloatVector.zero(SPECIES);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector g = widen(d, i).mul(load(weight, i));
        sum = g.fma(widen(x, i).sub(centre), sum);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector g = load(d, i).mul(load(weight, i));
        sum = g.fma(load(x, i).sub(centre), sum);
      }
    }
    return VectorMath.total(sum);
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
      for (int i = 0; i < n; i += LANES) {
        FloatVector g = widen(d, i).fma(load(weight, i), minus);
        narrow(widen(x, i).sub(centre).fma(slope, g).mul(by), out, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector g = load(d, i).fma(load(weight, i), minus);
        store(load(x, i).sub(centre).fma(slope, g).mul(by), out, i);
      }
    }
  }

  /** into += d·(x - mean)·inverse, where into is F32. */
  static void addWeight(long into, long d, long x, float mean, float inverse, int width, int n) {
    FloatVector centre = FloatVector.broadcast(SPECIES, mean);
    FloatVector by = FloatVector.broadcast(SPECIES, inverse);
    if (width == BF16) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector normed = widen(x, i).sub(centre).mul(by);
        store(widen(d, i).fma(normed, load(into, i)), into, i);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector normed = load(x, i).sub(centre).mul(by);
        store(load(d, i).fma(normed, load(into, i)), into, i);
      }
    }
  }
}
