package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig.Rope;
import org.jspecify.annotations.Nullable;

/** Cosines and sines of rotary positions, grown as longer sequences come. */
final class RopeTables implements AutoCloseable {
  private final Backend backend;
  private final Rope rope;
  private final int headSize;
  private final DType wide;
  private @Nullable Arena arena;
  private @Nullable Tables tables;

  /**
   * @param cos [positions, headSize/2] wide; @param sin likewise
   */
  record Tables(Array cos, Array sin, int positions) {}

  RopeTables(Backend backend, Rope rope, int headSize, DType wide) {
    this.backend = backend;
    this.rope = rope;
    this.headSize = headSize;
    this.wide = wide;
  }

  @SuppressWarnings("MustBeClosedChecker") // kept, and closed by close() or when it is outgrown
  Tables upTo(int positions) {
    Tables current = tables;
    if (current != null && current.positions >= positions) {
      return current;
    }
    if (positions > rope.maxPositions()) {
      throw new ConfigException(
          "a sequence of %d tokens, the model has max_position_embeddings=%d; shorten data.max_length"
              .formatted(positions, rope.maxPositions()));
    }
    close();
    int size = Math.min(rope.maxPositions(), Math.max(256, Integer.highestOneBit(positions) * 2));
    Arena fresh = backend.arena("rope");
    arena = fresh;
    current = make(fresh, size);
    tables = current;
    return current;
  }

  /** Angles are formed in single precision, as the published code forms them. */
  private Tables make(Arena to, int size) {
    int half = headSize / 2;
    double[] cos = new double[size * half];
    double[] sin = new double[size * half];
    for (int i = 0; i < half; i++) {
      float inverse = 1f / (float) Math.pow(rope.theta(), (float) (2 * i) / headSize);
      for (int p = 0; p < size; p++) {
        float angle = p * inverse;
        cos[p * half + i] = (float) Math.cos(angle);
        sin[p * half + i] = (float) Math.sin(angle);
      }
    }
    return new Tables(
        backend.doubles(to, wide, cos, size, half),
        backend.doubles(to, wide, sin, size, half),
        size);
  }

  @Override
  public void close() {
    if (arena != null) {
      arena.close();
      arena = null;
      tables = null;
    }
  }
}
