package io.moextend.backend.nd4j;

import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.BooleanIndexing;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.indexing.conditions.Conditions;

/** The k of E scores that a row chose. Shapes: T rows, E scores, k chosen. */
final class Selection {
  private Selection() {}

  /**
   * The k largest of each row by counting: the place of a score is the number of those above it and
   * of its equals to the left. NaN counts as the lowest, so that the places stay distinct.
   *
   * @param chosen [T, k] INT, written
   */
  static void largest(Temporaries t, INDArray chosen, INDArray scores) {
    INDArray clean = t.copy(scores);
    BooleanIndexing.replaceWhere(clean, Double.NEGATIVE_INFINITY, Conditions.isNan());
    long experts = scores.size(1);
    INDArray places = t.zeros(DataType.INT, scores.shape());
    for (long e = 0; e < experts; e++) {
      INDArray score = t.copy(column(clean, e));
      INDArray place = column(places, e);
      place.addi(count(t, clean.gt(score)));
      if (e > 0) {
        INDArray left = clean.get(NDArrayIndex.all(), NDArrayIndex.interval(0, e));
        place.addi(count(t, left.eq(score)));
      }
    }
    INDArray numbers = t.keep(Nd4j.arange(experts)).castTo(DataType.INT);
    for (long rank = 0; rank < chosen.size(1); rank++) {
      INDArray here = t.keep(t.keep(places.eq(rank)).castTo(DataType.INT));
      column(chosen, rank).assign(t.keep(here.muliRowVector(t.keep(numbers)).sum(true, 1)));
    }
  }

  private static INDArray count(Temporaries t, INDArray flags) {
    return t.keep(t.keep(t.keep(flags).castTo(DataType.INT)).sum(true, 1));
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
