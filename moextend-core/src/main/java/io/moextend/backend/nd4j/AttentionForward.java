package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/** softmax(scale · q kᵀ + bias) v, block by block. Results come zeroed. */
record AttentionForward(
    Attention shape,
    Array q,
    Array k,
    Array v,
    @Nullable Sight sight,
    @Nullable Array bias,
    Array out,
    Array logSumExp) {

  void run() {
    var seen = new SeenKeys(shape, sight);
    for (int sequence = 0; sequence < shape.batch(); sequence++) {
      for (int from = 0; from < shape.queries(); from += AttentionBlock.QUERIES) {
        try (var t = new Temporaries()) {
          var block = new AttentionBlock(t, shape, sequence, from, seen, Nd4jArray.of(q));
          for (int head = 0; block.keys() > 0 && head < shape.keyHeads(); head++) {
            attend(block, head);
          }
        }
      }
    }
    new BlindQueries(shape, seen).forward(v, out);
  }

  private void attend(AttentionBlock block, int head) {
    try (var t = new Temporaries()) {
      INDArray stacked = block.stack(t, Nd4jArray.of(q), head);
      INDArray key = block.ofKeys(Nd4jArray.of(k), head);
      INDArray scores =
          block.scores(t, stacked, key, bias == null ? null : Nd4jArray.of(bias), head);
      // where a row sees no key its maximum is minus infinity; a finite one keeps NaN away
      INDArray max = Transforms.max(t.keep(scores.max(1)), AttentionBlock.NOTHING, false);
      Transforms.exp(scores.subiColumnVector(max), false);
      // a row that sees a key sums to 1 at least, as its largest term is 1
      INDArray sum = Transforms.max(t.keep(scores.sum(1)), 1, false);
      scores.diviColumnVector(sum);
      INDArray result = t.uninitialized(scores.dataType(), block.stackedRows(), shape.headSize());
      Products.times(result, scores, block.ofKeys(Nd4jArray.of(v), head), 1);
      block.unstack(result, Nd4jArray.of(out), head);
      INDArray logs = Transforms.log(sum, false).addi(max);
      INDArray place = block.perQuery(Nd4jArray.of(logSumExp), head);
      place.assign(logs.reshape(place.shape()));
    }
  }
}
