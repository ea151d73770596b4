package io.moextend.backend.nd4j;

import io.moextend.backend.AttentionKernels.Attention;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.INDArrayIndex;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * A block of queries of one sequence against the keys it may see. The query heads that share a key
 * head are stacked below each other, so that a block takes one product with the keys of that head.
 *
 * <p>Shapes: n queries of the block, m keys it may see, g query heads a key head, d head size;
 * stacked rows are [g·n, d], scores [g·n, m].
 */
final class AttentionBlock {
  /** Queries of a block. */
  static final int QUERIES = 128;

  /** The log of a sum over no keys: finite, so that nothing becomes NaN. */
  static final double NOTHING = -Float.MAX_VALUE;

  private final Attention shape;
  private final int sequence;
  private final int firstQuery;
  private final int queries;
  private final int firstKey;
  private final int endKey;
  private final @Nullable INDArray hidden;

  AttentionBlock(
      Temporaries t, Attention shape, int sequence, int firstQuery, SeenKeys seen, INDArray like) {
    this.shape = shape;
    this.sequence = sequence;
    this.firstQuery = firstQuery;
    this.queries = Math.min(QUERIES, shape.queries() - firstQuery);
    int last = position(queries - 1);
    this.endKey = shape.causal() ? Math.clamp(last + 1L, 0, shape.keys()) : shape.keys();
    this.firstKey =
        shape.window() > 0 ? Math.clamp(position(0) - shape.window() + 1L, 0, endKey) : 0;
    this.hidden = keys() > 0 ? hide(t, seen, like) : null;
  }

  /** Where among the keys a query of this block sits. */
  private int position(int query) {
    return shape.keys() - shape.queries() + firstQuery + query;
  }

  int keys() {
    return endKey - firstKey;
  }

  /** [1, n, m]: 0 where a query sees a key, else minus infinity; null where all is seen. */
  private @Nullable INDArray hide(Temporaries t, SeenKeys seen, INDArray like) {
    double[] add = new double[queries * keys()];
    boolean any = false;
    for (int i = 0; i < queries; i++) {
      for (int j = 0; j < keys(); j++) {
        if (!seen.sees(sequence, firstQuery + i, firstKey + j)) {
          add[i * keys() + j] = Double.NEGATIVE_INFINITY;
          any = true;
        }
      }
    }
    return any ? t.numbers(add, like.dataType()).reshape(1, queries, keys()) : null;
  }

  int group() {
    return shape.queryHeads() / shape.keyHeads();
  }

  int stackedRows() {
    return group() * queries;
  }

  /** The scaled and biased scores of a key head's queries; hidden ones are minus infinity. */
  INDArray scores(
      Temporaries t, INDArray stacked, INDArray key, @Nullable INDArray bias, int head) {
    INDArray scores = t.uninitialized(stacked.dataType(), stackedRows(), keys());
    Products.timesTransposed(scores, stacked, key, shape.scale());
    INDArray byHead = scores.reshape(group(), queries, keys());
    if (bias != null) {
      byHead.addi(bias(bias, head));
    }
    if (hidden != null) {
      byHead.addi(hidden);
    }
    return scores;
  }

  /** This block's part of a [queryHeads, queries, keys] array, [g, n, m]. */
  INDArray bias(INDArray bias, int head) {
    return bias.get(
        heads(head), NDArrayIndex.interval(firstQuery, firstQuery + queries), keyRange(0));
  }

  /** This block's part of a [batch, queryHeads, queries] array, [1, g, n]. */
  INDArray perQuery(INDArray values, int head) {
    return values.get(
        NDArrayIndex.interval(sequence, sequence + 1),
        heads(head),
        NDArrayIndex.interval(firstQuery, firstQuery + queries));
  }

  /** The keys (or values) of one key head that this block may see, [m, d]. */
  INDArray ofKeys(INDArray keyRows, int head) {
    return keyRows.get(keyRange((long) sequence * shape.keys()), columns(head));
  }

  /** The queries (or gradients) of a key head's query heads, below each other, [g·n, d]. */
  INDArray stack(Temporaries t, INDArray queryRows, int head) {
    INDArray stacked = t.uninitialized(queryRows.dataType(), stackedRows(), shape.headSize());
    for (int h = 0; h < group(); h++) {
      stackedHead(stacked, h).assign(ofQueries(queryRows, head * group() + h));
    }
    return stacked;
  }

  /** The opposite of {@link #stack}: writes stacked rows to their places. */
  void unstack(INDArray stacked, INDArray queryRows, int head) {
    for (int h = 0; h < group(); h++) {
      ofQueries(queryRows, head * group() + h).assign(stackedHead(stacked, h));
    }
  }

  private INDArray stackedHead(INDArray stacked, int h) {
    return stacked.get(
        NDArrayIndex.interval((long) h * queries, (h + 1L) * queries), NDArrayIndex.all());
  }

  private INDArray ofQueries(INDArray queryRows, int queryHead) {
    long from = (long) sequence * shape.queries() + firstQuery;
    return queryRows.get(NDArrayIndex.interval(from, from + queries), columns(queryHead));
  }

  private INDArrayIndex keyRange(long base) {
    return NDArrayIndex.interval(base + firstKey, base + endKey);
  }

  private INDArrayIndex heads(int head) {
    return NDArrayIndex.interval((long) head * group(), (head + 1L) * group());
  }

  private INDArrayIndex columns(int head) {
    return NDArrayIndex.interval((long) head * shape.headSize(), (head + 1L) * shape.headSize());
  }
}
