package io.moextend.backend.cpu;

import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import org.jspecify.annotations.Nullable;

/** What a {@link Sight} hides of a block of keys from a block of queries. */
final class SeenKeys {
  /** The number of no key: of keys that are padding of a block, and of queries that see nothing. */
  private static final float NO_KEY = -1;

  private static final float NO_QUERY = -2;

  private final Attention shape;
  private final CpuArray keys;
  private final @Nullable CpuArray queries;

  SeenKeys(Attention shape, Sight sight) {
    sight.require(shape);
    this.shape = shape;
    this.keys = CpuArray.of(sight.keys(), DType.U8);
    this.queries = sight.queries() == null ? null : CpuArray.of(sight.queries(), DType.U8);
  }

  /** True where queries have numbers. */
  boolean numbered() {
    return queries != null;
  }

  /** True where none of the keys is seen. */
  boolean allHidden(QueryBlock block, KeyBlock at) {
    if (queries == null) {
      return seen(block, at) == 0;
    }
    for (int i = 0; i < block.queries(); i++) {
      int number = number(queries, queryAt(block), i);
      if (number != 0 && (i == 0 || number != number(queries, queryAt(block), i - 1))) {
        for (int j = 0; j < at.there(); j++) {
          if (number(keys, keyAt(block, at), j) == number) {
            return false;
          }
        }
      }
    }
    return true;
  }

  /** True at a key that is not hidden from all. */
  boolean sees(long key) {
    return keys.byteAt(key) != 0;
  }

  /** Address of 0 or -∞ for each key; 0 where none is hidden, or each query sees others. */
  long hidden(Lane lane, int slot, QueryBlock block, KeyBlock at) {
    if (queries != null || seen(block, at) == at.there()) {
      return 0;
    }
    long to = lane.scratch(slot, 4L * AttentionInputs.KEYS);
    for (int j = 0; j < at.n(); j++) {
      boolean seen = j < at.there() && sees(keyAt(block, at) + j);
      Floats.set(to + 4L * j, seen ? 0 : Float.NEGATIVE_INFINITY);
    }
    return to;
  }

  /** True where every query sees every key. */
  boolean hidesNothing(QueryBlock block, KeyBlock at) {
    return queries == null ? seen(block, at) == at.there() : allOfOne(queries, block, at);
  }

  /** Hides keys from the queries of other numbers. */
  void hide(Lane lane, int slot, ScoreTile tile, QueryBlock block, KeyBlock at) {
    if (queries == null || allOfOne(queries, block, at)) {
      return;
    }
    long to = lane.scratch(slot, 4L * AttentionInputs.KEYS);
    for (int j = 0; j < at.n(); j++) {
      Floats.set(to + 4L * j, j < at.there() ? number(keys, keyAt(block, at), j) : NO_KEY);
    }
    float[] numbers = lane.floats(2, block.padded());
    for (int i = 0; i < block.padded(); i++) {
      int number = i < block.queries() ? number(queries, queryAt(block), i) : 0;
      numbers[i] = number == 0 ? NO_QUERY : number;
    }
    tile.addHidden(numbers, to);
  }

  /** True where all queries and all keys have the same number. */
  private boolean allOfOne(CpuArray ofQueries, QueryBlock block, KeyBlock at) {
    int one = number(ofQueries, queryAt(block), 0);
    boolean same = one != 0;
    for (int i = 1; same && i < block.queries(); i++) {
      same = number(ofQueries, queryAt(block), i) == one;
    }
    for (int j = 0; same && j < at.there(); j++) {
      same = number(keys, keyAt(block, at), j) == one;
    }
    return same;
  }

  private int seen(QueryBlock block, KeyBlock at) {
    int seen = 0;
    for (int j = 0; j < at.there(); j++) {
      seen += sees(keyAt(block, at) + j) ? 1 : 0;
    }
    return seen;
  }

  private long keyAt(QueryBlock block, KeyBlock at) {
    return (long) block.batch() * shape.keys() + at.first();
  }

  private long queryAt(QueryBlock block) {
    return (long) block.batch() * shape.queries() + block.first();
  }

  private static int number(CpuArray numbers, long from, int i) {
    return numbers.byteAt(from + i) & 0xff;
  }
}
