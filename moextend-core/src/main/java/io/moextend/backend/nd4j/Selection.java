package io.moextend.backend.nd4j;

import java.util.BitSet;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** The k of E scores that a row chose. Shapes: T rows, E scores, k chosen. */
final class Selection {
  private Selection() {}

  /**
   * The k largest of each row, of equals the left one first. NaN counts as the lowest. On the host:
   * in ND4J's own ops it takes as many of them as there are scores.
   *
   * @param chosen [T, k] INT, written
   */
  static void largest(Temporaries t, INDArray chosen, INDArray scores) {
    int width = Math.toIntExact(scores.size(1));
    int k = Math.toIntExact(chosen.size(1));
    double[] all = t.copy(t.cast(scores, DataType.DOUBLE)).data().asDouble();
    int[] picked = new int[Math.toIntExact(chosen.length())];
    for (int row = 0; row < scores.size(0); row++) {
      var taken = new BitSet(width);
      for (int rank = 0; rank < k; rank++) {
        int best = largest(all, row * width, width, taken);
        taken.set(best);
        picked[row * k + rank] = best;
      }
    }
    chosen.assign(t.ints(picked).reshape(chosen.shape()));
  }

  private static int largest(double[] scores, int from, int width, BitSet taken) {
    int best = taken.nextClearBit(0);
    for (int e = best + 1; e < width; e++) {
      if (!taken.get(e) && known(scores[from + e]) > known(scores[from + best])) {
        best = e;
      }
    }
    return best;
  }

  private static double known(double score) {
    return Double.isNaN(score) ? Double.NEGATIVE_INFINITY : score;
  }

  private static INDArray column(INDArray rows, long at) {
    return rows.get(NDArrayIndex.all(), NDArrayIndex.interval(at, at + 1));
  }

  /** picked[t, j] = scores[t, chosen[t, j]]. */
  static void pick(Temporaries t, INDArray picked, INDArray scores, INDArray chosen) {
    long rows = scores.size(0);
    INDArray begin = t.keep(Nd4j.arange(rows)).castTo(DataType.INT);
    INDArray at = t.copy(chosen).addiColumnVector(t.keep(begin).muli(scores.size(1)));
    INDArray flat = t.uninitialized(picked.dataType(), picked.length());
    RowMoves.gather(flat, scores.reshape(scores.length()), at.reshape(at.length()));
    picked.assign(flat.reshape(picked.shape()));
  }

  /** out[t, e] = sum of values[t, j] over chosen[t, j] = e. */
  static void spread(Temporaries t, INDArray out, INDArray values, INDArray chosen) {
    out.assign(0);
    for (long j = 0; j < chosen.size(1); j++) {
      INDArray hit = hits(t, column(chosen, j), out.size(1), out.dataType());
      out.addi(hit.muliColumnVector(t.copy(column(values, j)).reshape(values.size(0))));
    }
  }

  /** How often each row chose each expert, [T, E]. */
  static INDArray counts(Temporaries t, INDArray chosen, long experts, DataType type) {
    INDArray counts = t.zeros(type, chosen.size(0), experts);
    for (long j = 0; j < chosen.size(1); j++) {
      counts.addi(hits(t, column(chosen, j), experts, type));
    }
    return counts;
  }

  /** 1 where the row's choice is the column's number, else 0. */
  private static INDArray hits(Temporaries t, INDArray choice, long experts, DataType type) {
    INDArray numbers = t.keep(t.keep(Nd4j.arange(experts)).castTo(DataType.INT));
    INDArray flags = t.keep(t.copy(choice).eq(numbers.reshape(1, experts)));
    return t.keep(flags.castTo(type));
  }
}
