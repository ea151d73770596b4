package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig.Rope;
import io.moextend.op.SplitHeads.Rotation;
import org.jspecify.annotations.Nullable;

/**
 * Cosines and sines of rotary positions, grown as longer sequences come. Where long sequences have
 * other angles than short ones, both stand in the same table, one below the other.
 */
final class RopeTables implements AutoCloseable {
  private final Backend backend;
  private final Rope rope;
  private final int headSize;
  private final DType wide;
  private @Nullable Arena arena;
  private @Nullable Tables tables;

  /**
   * @param cos [rows, headSize/2] wide; @param sin likewise
   * @param positions sequences it has angles for
   */
  private record Tables(Array cos, Array sin, int positions) {}

  RopeTables(Backend backend, Rope rope, int headSize, DType wide) {
    this.backend = backend;
    this.rope = rope;
    this.headSize = headSize;
    this.wide = wide;
  }

  /**
   * @param positions of each token in its sequence
   * @param lengths of each token's sequence, this pass's tokens with it
   */
  Rotation rotation(Tape tape, int[] positions, int[] lengths) {
    int longest = 1;
    int[] rows = new int[positions.length];
    for (int i = 0; i < rows.length; i++) {
      longest = Math.max(longest, lengths[i]);
      boolean longer = lengths[i] > rope.sameAnglesUpTo();
      rows[i] = positions[i] + (longer ? rope.sameAnglesUpTo() : 0);
    }
    Tables upTo = upTo(longest);
    return new Rotation(tape.backend().ints(tape.arena(), rows, rows.length), upTo.cos, upTo.sin);
  }

  @SuppressWarnings("MustBeClosedChecker") // kept, and closed by close() or when it is outgrown
  private Tables upTo(int positions) {
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

  private Tables make(Arena to, int size) {
    int half = headSize / 2;
    int shorter = Math.min(size, rope.sameAnglesUpTo());
    int rows = size > shorter ? Math.addExact(shorter, size) : shorter;
    double[] cos = new double[Math.multiplyExact(rows, half)];
    double[] sin = new double[cos.length];
    fill(cos, sin, 0, shorter, RopeFrequencies.of(rope, headSize, shorter));
    fill(cos, sin, shorter, rows - shorter, RopeFrequencies.of(rope, headSize, size));
    return new Tables(
        backend.doubles(to, wide, cos, rows, half),
        backend.doubles(to, wide, sin, rows, half),
        size);
  }

  /** Angles are formed in single precision, as the published code forms them. */
  private static void fill(
      double[] cos, double[] sin, int from, int positions, RopeFrequencies frequencies) {
    float[] inverse = frequencies.inverse();
    float factor = frequencies.attentionFactor();
    for (int p = 0; p < positions; p++) {
      int row = (from + p) * inverse.length;
      for (int i = 0; i < inverse.length; i++) {
        float angle = p * inverse[i];
        cos[row + i] = (float) Math.cos(angle) * factor;
        sin[row + i] = (float) Math.sin(angle) * factor;
      }
    }
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
