package io.moextend.backend.cpu;

import static io.moextend.backend.cpu.Vectors.BF16;
import static io.moextend.backend.cpu.Vectors.LANES;
import static io.moextend.backend.cpu.Vectors.SPECIES;
import static io.moextend.backend.cpu.Vectors.even;
import static io.moextend.backend.cpu.Vectors.get;
import static io.moextend.backend.cpu.Vectors.load;
import static io.moextend.backend.cpu.Vectors.narrow;
import static io.moextend.backend.cpu.Vectors.odd;
import static io.moextend.backend.cpu.Vectors.pairs;
import static io.moextend.backend.cpu.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Loops over mixtures of vectors, compiled as {@link PointwiseLoops} are and with the same orders:
 * what is F32 beside BF16 is in that of {@link PairLoops}. The vectors of a mixture, F32, are
 * {@code line} bytes apart; their weights lie side by side.
 */
final class RescaleLoops {
  private RescaleLoops() {}

  /** out = x ⊙ Σ_e weights_e·vector_e. */
  static void rescale(
      long x, long weights, long vectors, long line, int experts, long out, int width, int n) {
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        FloatVector evens = FloatVector.zero(SPECIES);
        FloatVector odds = evens;
        long vector = vectors + 2 * at;
        for (int e = 0; e < experts; e++, vector += line) {
          FloatVector by = FloatVector.broadcast(SPECIES, get(weights, e));
          evens = load(vector, 0).fma(by, evens);
          odds = load(vector, LANES).fma(by, odds);
        }
        IntVector a = pairs(x + at);
        narrow(even(a).mul(evens), odd(a).mul(odds), out + at);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        FloatVector sum = FloatVector.zero(SPECIES);
        long vector = vectors;
        for (int e = 0; e < experts; e++, vector += line) {
          sum = load(vector, i).fma(FloatVector.broadcast(SPECIES, get(weights, e)), sum);
        }
        store(load(x, i).mul(sum), out, i);
      }
    }
  }

  /** out, F32, = a·b. */
  static void product(long a, long b, long out, int width, int n) {
    if (width == BF16) {
      long step = Vectors.step();
      for (long at = 0; at < 2L * n; at += step) {
        IntVector x = pairs(a + at);
        IntVector y = pairs(b + at);
        store(even(x).mul(even(y)), out + 2 * at, 0);
        store(odd(x).mul(odd(y)), out + 2 * at, LANES);
      }
    } else {
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).mul(load(b, i)), out, i);
      }
    }
  }

  /** vector_e += weights_e·a of every e, all F32. */
  static void spread(long a, long weights, long vectors, long line, int experts, int n) {
    long vector = vectors;
    for (int e = 0; e < experts; e++, vector += line) {
      FloatVector by = FloatVector.broadcast(SPECIES, get(weights, e));
      for (int i = 0; i < n; i += LANES) {
        store(load(a, i).fma(by, load(vector, i)), vector, i);
      }
    }
  }
}
