package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.AttentionGradients;
import io.moextend.backend.AttentionKernels.Sight;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * With p = exp(scores - logSumExp) and r = Σ dOut · out of a query: dV = pᵀ dOut, dScores = p (dOut
 * vᵀ - r), dQ = scale · dScores k, dK = scale · dScoresᵀ q, dBias = Σ dScores over the batch.
 * Results come zeroed.
 */
record AttentionBackward(
    Attention shape,
    Array dOut,
    Array q,
    Array k,
    Array v,
    Attended forward,
    @Nullable Sight sight,
    @Nullable Array bias,
    AttentionGradients gradients) {

  void run() {
    var seen = new SeenKeys(shape, sight);
    for (int sequence = 0; sequence < shape.batch(); sequence++) {
      for (int from = 0; from < shape.queries(); from += AttentionBlock.QUERIES) {
        try (var t = new Temporaries()) {
          var block = new AttentionBlock(t, shape, sequence, from, seen, Nd4jArray.of(q));
          for (int head = 0; block.keys() > 0 && head < shape.keyHeads(); head++) {
            head(block, head);
          }
        }
      }
    }
    new BlindQueries(shape, seen).backward(dOut, gradients.dV());
  }

  private void head(AttentionBlock block, int head) {
    try (var t = new Temporaries()) {
      INDArray stackedQ = block.stack(t, Nd4jArray.of(q), head);
      INDArray stackedD = block.stack(t, Nd4jArray.of(dOut), head);
      INDArray key = block.ofKeys(Nd4jArray.of(k), head);
      INDArray p = probabilities(t, block, stackedQ, key, head);
      addTransposed(t, block, gradients.dV(), head, p, stackedD, 1);

      INDArray along =
          t.keep(block.stack(t, Nd4jArray.of(forward.out()), head).muli(stackedD).sum(1));
      INDArray dScores = t.uninitialized(p.dataType(), p.shape());
      INDArray value = block.ofKeys(Nd4jArray.of(v), head);
      Products.timesTransposed(dScores, stackedD, value, 1);
      dScores.subiColumnVector(along).muli(p);

      Array dBias = gradients.dBias();
      if (dBias != null) {
        INDArray place = block.bias(Nd4jArray.of(dBias), head);
        place.addi(dScores.reshape(place.shape()));
      }
      INDArray dStacked = t.uninitialized(p.dataType(), stackedQ.shape());
      Products.times(dStacked, dScores, key, shape.scale());
      block.unstack(dStacked, Nd4jArray.of(gradients.dQ()), head);
      addTransposed(t, block, gradients.dK(), head, dScores, stackedQ, shape.scale());
    }
  }

  private INDArray probabilities(
      Temporaries t, AttentionBlock block, INDArray stackedQ, INDArray key, int head) {
    INDArray scores =
        block.scores(t, stackedQ, key, bias == null ? null : Nd4jArray.of(bias), head);
    INDArray logs = t.copy(block.perQuery(Nd4jArray.of(forward.logSumExp()), head));
    return Transforms.exp(scores.subiColumnVector(logs.reshape(block.stackedRows())), false);
  }

  /** Adds scale · aᵀ b to the block's rows of a gradient of the keys or values. */
  private static void addTransposed(
      Temporaries t,
      AttentionBlock block,
      Array into,
      int head,
      INDArray a,
      INDArray b,
      double scale) {
    INDArray part = t.uninitialized(a.dataType(), a.size(1), b.size(1));
    Products.transposedTimes(part, a, b, scale);
    block.ofKeys(Nd4jArray.of(into), head).addi(part);
  }
}
