package io.moextend.checkpoint;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToLongFunction;

/** Work cut among ranks so that each gets about as many bytes; the same on every rank. */
public final class EvenShares {
  private EvenShares() {}

  /**
   * The largest first, each to who has least so far, of equals the lowest rank.
   *
   * @param items in the same order on every rank
   * @return one list for each of {@code world} ranks, in the order of the items' sizes
   */
  public static <T> List<List<T>> of(Collection<T> items, ToLongFunction<T> bytes, int world) {
    var shares = new ArrayList<List<T>>();
    for (int rank = 0; rank < world; rank++) {
      shares.add(new ArrayList<>());
    }
    long[] load = new long[world];
    var largestFirst = new ArrayList<>(items);
    largestFirst.sort(Comparator.comparingLong(bytes).reversed());
    for (T item : largestFirst) {
      int least = 0;
      for (int rank = 1; rank < world; rank++) {
        if (load[rank] < load[least]) {
          least = rank;
        }
      }
      shares.get(least).add(item);
      load[least] += Math.max(1, bytes.applyAsLong(item)); // an empty one is work too
    }
    return shares;
  }
}
