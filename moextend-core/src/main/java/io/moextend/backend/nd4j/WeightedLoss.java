package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.LossKernels.CrossEntropy;
import io.moextend.backend.LossKernels.WeightedCrossEntropy;
import io.moextend.backend.LossKernels.Weighting;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/** Cross-entropy of rows that weigh differently, from the plain one. */
final class WeightedLoss {
  private final Array logits;
  private final int[] wanted;
  private final Weighting weighting;
  private final long classes;

  WeightedLoss(Array logits, int[] wanted, Weighting weighting) {
    this.logits = logits;
    this.wanted = wanted;
    this.weighting = weighting;
    this.classes = logits.dim(1);
    weighting.weights().require("weights", logits.dim(0));
    SameType.require("weights", weighting.weights(), logits.dtype().wide());
  }

  /**
   * @param plain the cross-entropy without weights; its rows become the smoothed ones
   */
  WeightedCrossEntropy forward(Arena to, CrossEntropy plain) {
    Array zLoss = to.allocate(logits.dtype().wide(), 1);
    INDArray z = Nd4jArray.of(zLoss).assign(0);
    INDArray loss = Nd4jArray.of(plain.loss()).assign(0);
    if (wanted.length > 0) {
      try (var t = new Temporaries()) {
        INDArray counts = counted(t, 0, wanted.length);
        INDArray perRow = Nd4jArray.of(plain.perRow());
        INDArray sums = Nd4jArray.of(plain.logSumExp());
        if (weighting.smoothing() > 0) {
          smooth(t, perRow, sums, counts);
        }
        INDArray weights = t.copy(Nd4jArray.of(weighting.weights())).muli(counts);
        weights.divi(weighting.denominator());
        loss.addi(t.copy(perRow).muli(weights).sumNumber());
        z.addi(t.copy(sums).muli(sums).muli(weights).sumNumber()).muli(weighting.zLoss());
        loss.addi(z);
      }
    }
    return new WeightedCrossEntropy(plain.loss(), zLoss, plain.perRow(), plain.logSumExp());
  }

  /** lost = ln Σ e^x - x[target] becomes that of the smoothed target. */
  private void smooth(Temporaries t, INDArray lost, INDArray sums, INDArray counts) {
    double rest = weighting.rest(classes);
    // confidence·x[t] + rest·(Σx - x[t]), with x[t] = sums - lost
    INDArray at = t.copy(sums).subi(lost);
    INDArray all = t.keep(t.cast(t.keep(Nd4jArray.number(logits).sum(1)), lost.dataType()).dup());
    INDArray expected = at.muli(weighting.confidence() - rest).addi(all.muli(rest));
    lost.assign(sums).subi(expected).subi(weighting.floor(classes)).muli(counts);
  }

  private INDArray counted(Temporaries t, long from, long until) {
    var type = Nd4jArray.type(logits.dtype().wide());
    return new Targeted(t, wanted, from, until, classes, type).counts();
  }

  Array backward(Arena to, double dLoss, Array logSumExp) {
    long rows = logits.dim(0);
    Array dLogits = to.allocate(logits.dtype(), logits.shape());
    long step = Math.max(1, Nd4jLossKernels.LOGITS / classes);
    for (long from = 0; from < rows; from += step) {
      long until = Math.min(rows, from + step);
      try (var t = new Temporaries()) {
        INDArray block = Nd4jArray.of(dLogits.slice(from, until));
        INDArray sums = Nd4jArray.of(logSumExp.slice(from, until));
        block.assign(Nd4jArray.number(logits.slice(from, until))).subiColumnVector(sums);
        Transforms.exp(block, false);
        block.muliColumnVector(t.copy(sums).muli(2 * weighting.zLoss()).addi(1));
        double rest = weighting.rest(classes);
        block.subi(rest);
        var targeted = new Targeted(t, wanted, from, until, classes, block.dataType());
        targeted.put(block, targeted.gather(t, block).subi(weighting.confidence() - rest));
        INDArray weights = t.copy(Nd4jArray.of(weighting.weights().slice(from, until)));
        weights.muli(dLoss / weighting.denominator()).muli(targeted.counts());
        block.muliColumnVector(weights);
      }
    }
    return dLogits;
  }
}
