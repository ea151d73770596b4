package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import java.util.Random;

/** Numbers for tests: at random from one seed, and those of an array. */
final class Numbers {
  static final long SEED = 4711;

  private Numbers() {}

  /**
   * Normally distributed ones.
   *
   * @param seed added to {@link #SEED}
   */
  static Array random(Backend b, Arena to, DType type, long seed, long... shape) {
    float[] values = new float[Math.toIntExact(Array.sizeOf(shape))];
    Random random = new Random(SEED + seed);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return b.floats(to, type, values, shape);
  }

  static double[] of(Backend b, Array array) {
    if (array.dtype() == DType.F64) {
      return new double[] {b.toDouble(array)};
    }
    try (var scratch = b.arena("values")) {
      float[] floats = b.toFloats(scratch, array);
      double[] values = new double[floats.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = floats[i];
      }
      return values;
    }
  }
}
