package io.moextend.backend.bench;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.Matrix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** What a bench works on: a backend, and inputs from one seed that live as long as this. */
final class Bed implements AutoCloseable {
  private static final long SEED = 20261122;

  /** Values made at random; larger arrays repeat them. */
  private static final int TILE = 1 << 16;

  private final Backend backend;
  private final Setting setting;
  private final Arena arena;
  private final Random random = new Random(SEED);
  private final List<Matrix> matrices = new ArrayList<>();

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  Bed(Backend backend, Setting setting) {
    this.backend = backend;
    this.setting = setting;
    this.arena = backend.arena("bed");
  }

  Backend backend() {
    return backend;
  }

  Setting setting() {
    return setting;
  }

  /** Where inputs are. */
  Arena arena() {
    return arena;
  }

  /** Normally distributed values in the type under test. */
  Array values(long... shape) {
    return values(setting.dtype(), shape);
  }

  Array values(DType dtype, long... shape) {
    Array all = arena.allocate(dtype, shape);
    float[] tile = new float[(int) Math.min(TILE, all.size())];
    for (int i = 0; i < tile.length; i++) {
      tile[i] = (float) random.nextGaussian();
    }
    repeat(all, backend.floats(arena, dtype, tile, tile.length));
    return all;
  }

  /** Values above zero. */
  Array positive(DType dtype, long... shape) {
    Array all = arena.allocate(dtype, shape);
    float[] tile = new float[(int) Math.min(TILE, all.size())];
    for (int i = 0; i < tile.length; i++) {
      tile[i] = 0.01f + random.nextFloat();
    }
    repeat(all, backend.floats(arena, dtype, tile, tile.length));
    return all;
  }

  private void repeat(Array all, Array tile) {
    Array flat = all.reshape(all.size());
    for (long at = 0; at < all.size(); at += tile.size()) {
      long n = Math.min(tile.size(), all.size() - at);
      backend.copyInto(flat.slice(at, at + n), tile.slice(0, n));
    }
    arena.free(tile);
  }

  /** Whole numbers in [0, bound). */
  Array ints(int bound, long... shape) {
    int[] values = new int[Math.toIntExact(Array.sizeOf(shape))];
    Arrays.setAll(values, i -> random.nextInt(bound));
    return backend.ints(arena, values, shape);
  }

  /** The numbers 0 to n - 1 in a random order. */
  Array shuffled(int n) {
    int[] values = new int[n];
    for (int i = 0; i < n; i++) {
      int j = random.nextInt(i + 1);
      values[i] = values[j];
      values[j] = i;
    }
    return backend.ints(arena, values, n);
  }

  /** Two different experts a token: [tokens, topK]. */
  Array chosen(int tokens) {
    return backend.topK(arena, positive(DType.F32, tokens, setting.experts()), setting.topK());
  }

  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  Matrix matrix(long out, long in) {
    Matrix matrix = backend.matrix(List.of(values(out, in)), true);
    matrices.add(matrix);
    return matrix;
  }

  @Override
  public void close() {
    matrices.forEach(Matrix::close);
    arena.close();
  }
}
