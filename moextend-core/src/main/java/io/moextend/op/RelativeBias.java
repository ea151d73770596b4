package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A number for each head by the bucket of a key's distance from a query, to be added to scores.
 *
 * @see <a href="https://arxiv.org/abs/1910.10683">Exploring the Limits of Transfer Learning</a>,
 *     section 2.1
 */
public final class RelativeBias {
  private RelativeBias() {}

  /**
   * @param table [buckets, heads]
   * @param buckets of every pair: bucket of query i and key j at i·keys + j
   * @return [heads, queries, keys] wide
   */
  public static Tensor apply(Tape tape, Parameter table, int[] buckets, int queries, int keys) {
    Array byHead = turned(tape, Cast.array(tape, table.data(), table.dtype().wide()));
    Array bias =
        followDistance(buckets, queries, keys)
            ? byDistance(tape, byHead, buckets, queries, keys)
            : byPair(tape, byHead, buckets, queries, keys);
    if (!table.requiresGrad()) {
      return Tensor.constant(bias);
    }
    Array pairs = tape.backend().ints(tape.arena(), buckets, buckets.length);
    return tape.record(
        "relativeBias",
        bias,
        List.of(table),
        List.of(pairs),
        dY -> List.of(turned(tape, gradient(tape, dY, pairs, table.shape()[0]))));
  }

  /** True where pairs of one distance have one bucket. */
  private static boolean followDistance(int[] buckets, int queries, int keys) {
    for (int i = 1; i < queries; i++) {
      int row = i * keys;
      if (Arrays.mismatch(buckets, row + 1, row + keys, buckets, row - keys, row - 1) >= 0) {
        return false;
      }
    }
    return true;
  }

  /** The first key with each query, the last first, then the first query with each key. */
  private static Array byDistance(Tape tape, Array byHead, int[] buckets, int queries, int keys) {
    int heads = (int) byHead.dim(0);
    int all = (int) byHead.dim(1);
    int distances = queries + keys - 1;
    int[] places = new int[Math.multiplyExact(heads, distances)];
    for (int at = 0; at < places.length; at++) {
      int distance = at % distances - queries + 1;
      int pair = distance < 0 ? -distance * keys : distance;
      places[at] = at / distances * all + buckets[pair];
    }
    Array index = tape.backend().ints(tape.arena(), places, places.length);
    Array flat = byHead.reshape(byHead.size(), 1);
    Array taken = tape.backend().gatherRows(tape.arena(), flat, index);
    return tape.backend()
        .biasByDistance(tape.arena(), taken.reshape(heads, distances), queries, keys);
  }

  private static Array byPair(Tape tape, Array byHead, int[] buckets, int queries, int keys) {
    Backend backend = tape.backend();
    Array pairs = backend.ints(tape.arena(), buckets, buckets.length);
    int heads = (int) byHead.dim(0);
    Array bias = tape.arena().allocate(byHead.dtype(), heads, queries, keys);
    for (int h = 0; h < heads; h++) {
      Array column = byHead.slice(h, h + 1L).reshape(byHead.dim(1), 1);
      Array taken = backend.gatherRows(tape.arena(), column, pairs);
      backend.copyInto(bias.slice(h, h + 1L).reshape(taken.shape()), taken);
      tape.arena().free(taken);
    }
    return bias;
  }

  /** [heads, buckets]: what every pair of a bucket says, added up. */
  private static Array gradient(Tape tape, Array dY, Array pairs, long buckets) {
    var rows = new ArrayList<Array>();
    for (long h = 0; h < dY.dim(0); h++) {
      Array ofHead = dY.slice(h, h + 1).reshape(pairs.size(), 1);
      Array sums = tape.backend().scatterRows(tape.arena(), ofHead, pairs, buckets);
      rows.add(sums.reshape(1, buckets));
    }
    return tape.backend().joinRows(tape.arena(), rows);
  }

  /** [N, M] to [M, N]. */
  private static Array turned(Tape tape, Array x) {
    int rows = (int) x.dim(0);
    int columns = (int) x.dim(1);
    int[] places = new int[rows * columns];
    Arrays.setAll(places, i -> i % rows * columns + i / rows);
    Array index = tape.backend().ints(tape.arena(), places, places.length);
    Array moved = tape.backend().gatherRows(tape.arena(), x.reshape(x.size(), 1), index);
    return moved.reshape(columns, rows);
  }
}
