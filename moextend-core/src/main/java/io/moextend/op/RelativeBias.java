package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.array.DType;
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
    Backend backend = tape.backend();
    Array pairs = backend.ints(tape.arena(), buckets, buckets.length);
    int heads = (int) table.shape()[1];
    DType wide = table.dtype().wide();
    Array bias = tape.arena().allocate(wide, heads, queries, keys);
    Array byHead = turned(tape, Cast.array(tape, table.data(), wide));
    for (int h = 0; h < heads; h++) {
      Array column = byHead.slice(h, h + 1L).reshape(byHead.dim(1), 1);
      Array taken = backend.gatherRows(tape.arena(), column, pairs);
      backend.copyInto(bias.slice(h, h + 1L).reshape(taken.shape()), taken);
      tape.arena().free(taken);
    }
    return tape.record(
        "relativeBias",
        bias,
        List.of(table),
        List.of(pairs),
        dY -> List.of(turned(tape, gradient(tape, dY, pairs, table.shape()[0]))));
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
