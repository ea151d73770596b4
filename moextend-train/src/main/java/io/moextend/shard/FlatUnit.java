package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import java.util.ArrayList;
import java.util.List;

/**
 * Weights of one layer, one after the other in a flat array that is cut into equal pieces, one for
 * each rank.
 *
 * @param length elements, gaps counted
 */
record FlatUnit(List<Place> places, long length) {
  /** Elements that a weight begins at, and a piece ends at, a multiple of: 64 bytes in BF16. */
  private static final int MULTIPLE = 32;

  /**
   * @param from first element
   * @param to one past the last
   */
  record Place(Parameter parameter, long from, long to) {
    /** The weight within the whole flat array, in its own shape. */
    Array in(Array flat) {
      return flat.slice(from, to).reshape(parameter.shape());
    }
  }

  static FlatUnit of(List<Parameter> parameters, int shards) {
    var places = new ArrayList<Place>();
    long next = 0;
    for (Parameter parameter : parameters) {
      long to = Math.addExact(next, parameter.size());
      places.add(new Place(parameter, next, to));
      next = Math.ceilDiv(to, MULTIPLE) * MULTIPLE;
    }
    long multiple = (long) MULTIPLE * shards;
    return new FlatUnit(List.copyOf(places), Math.ceilDiv(next, multiple) * multiple);
  }

  /** As the optimizer cuts it, so that each rank updates just what it keeps. */
  static FlatUnit of(ParameterLayout.Bucket bucket) {
    return new FlatUnit(
        bucket.slices().stream()
            .map(s -> new Place(s.parameter(), s.from() - bucket.from(), s.to() - bucket.from()))
            .toList(),
        bucket.length());
  }

  static FlatUnit empty() {
    return new FlatUnit(List.of(), 0);
  }

  boolean isEmpty() {
    return places.isEmpty();
  }
}
