package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.INDArrayIndex;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** What queries get that see no key, and what they pass on, where it is the mean of all values. */
record BlindQueries(Attention shape, SeenKeys seen) {
  /** Writes the mean of a sequence's values to the rows of its blind queries. */
  void forward(Array v, Array out) {
    for (int sequence = 0; sequence < shape.batch(); sequence++) {
      List<Integer> blind = seen.uniform(sequence);
      for (int head = 0; !blind.isEmpty() && head < shape.queryHeads(); head++) {
        try (var t = new Temporaries()) {
          INDArray mean = t.keep(values(Nd4jArray.of(v), sequence, head).mean(true, 0));
          for (int query : blind) {
            ofQuery(Nd4jArray.of(out), sequence, query, head).assign(mean);
          }
        }
      }
    }
  }

  /** Adds to dV what the blind queries of each sequence were given. */
  void backward(Array dOut, Array dV) {
    for (int sequence = 0; sequence < shape.batch(); sequence++) {
      List<Integer> blind = seen.uniform(sequence);
      for (int head = 0; !blind.isEmpty() && head < shape.queryHeads(); head++) {
        try (var t = new Temporaries()) {
          INDArray share = t.zeros(Nd4jArray.of(dOut).dataType(), 1, shape.headSize());
          for (int query : blind) {
            share.addi(ofQuery(Nd4jArray.of(dOut), sequence, query, head));
          }
          values(Nd4jArray.of(dV), sequence, head).addiRowVector(share.divi(shape.keys()));
        }
      }
    }
  }

  private INDArray values(INDArray rows, int sequence, int queryHead) {
    long from = (long) sequence * shape.keys();
    int keyHead = queryHead * shape.keyHeads() / shape.queryHeads();
    return rows.get(NDArrayIndex.interval(from, from + shape.keys()), columns(keyHead));
  }

  private INDArray ofQuery(INDArray rows, int sequence, int query, int head) {
    long row = (long) sequence * shape.queries() + query;
    return rows.get(NDArrayIndex.interval(row, row + 1), columns(head));
  }

  private INDArrayIndex columns(int head) {
    return NDArrayIndex.interval((long) head * shape.headSize(), (head + 1L) * shape.headSize());
  }
}
