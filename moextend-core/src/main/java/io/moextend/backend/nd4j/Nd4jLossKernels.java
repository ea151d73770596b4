package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.LossKernels;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/** Losses by blocks of rows; targets are checked on the host. */
interface Nd4jLossKernels extends LossKernels {
  /** Logits handled at once: bounds the temporaries to some ten MB. */
  long LOGITS = 1 << 22;

  @Override
  default CrossEntropy crossEntropy(Arena to, Array logits, Array targets, double denominator) {
    int[] wanted = targets(logits, targets);
    long rows = logits.dim(0);
    Array loss = to.allocate(logits.dtype().wide(), 1);
    Array perRow = to.allocate(logits.dtype().wide(), rows);
    Array logSumExp = to.allocate(logits.dtype().wide(), rows);
    if (rows == 0) {
      Nd4jArray.of(loss).assign(0);
      return new CrossEntropy(loss, perRow, logSumExp);
    }
    long step = Math.max(1, LOGITS / logits.dim(1));
    for (long from = 0; from < rows; from += step) {
      long until = Math.min(rows, from + step);
      try (var t = new Temporaries()) {
        INDArray block = Nd4jArray.number(logits.slice(from, until));
        INDArray sums = Nd4jArray.of(logSumExp.slice(from, until));
        INDArray max = t.keep(block.max(1));
        INDArray shifted = t.copy(block).subiColumnVector(max);
        Transforms.exp(shifted, false).sum(sums, 1);
        Transforms.log(sums, false).addi(max);
        INDArray lost = Nd4jArray.of(perRow.slice(from, until)).assign(sums);
        var targeted = new Targeted(t, wanted, from, until, logits.dim(1), block.dataType());
        lost.subi(targeted.gather(t, block)).muli(targeted.counts());
      }
    }
    Nd4jArray.of(perRow).sum(Nd4jArray.of(loss), 0).divi(denominator);
    return new CrossEntropy(loss, perRow, logSumExp);
  }

  @Override
  default Array crossEntropyBackward(
      Arena to,
      Array dLoss,
      Array logits,
      Array targets,
      CrossEntropy forward,
      double denominator) {
    int[] wanted = targets(logits, targets);
    long rows = logits.dim(0);
    double scale = HostCopy.scalar(dLoss) / denominator;
    Array dLogits = to.allocate(logits.dtype(), logits.shape());
    long step = Math.max(1, LOGITS / logits.dim(1));
    for (long from = 0; from < rows; from += step) {
      long until = Math.min(rows, from + step);
      try (var t = new Temporaries()) {
        INDArray block = Nd4jArray.of(dLogits.slice(from, until));
        INDArray sums = Nd4jArray.of(forward.logSumExp().slice(from, until));
        block.assign(Nd4jArray.number(logits.slice(from, until))).subiColumnVector(sums);
        Transforms.exp(block, false);
        var targeted = new Targeted(t, wanted, from, until, logits.dim(1), block.dataType());
        targeted.put(block, targeted.gather(t, block).subi(1));
        block.muliColumnVector(targeted.counts().muli(scale));
      }
    }
    return dLogits;
  }

  @Override
  default WeightedCrossEntropy weightedCrossEntropy(
      Arena to, Array logits, Array targets, Weighting weighting) {
    return new WeightedLoss(logits, targets(logits, targets), weighting)
        .forward(to, crossEntropy(to, logits, targets, 1));
  }

  @Override
  default Array weightedCrossEntropyBackward(
      Arena to,
      Array dLoss,
      Array logits,
      Array targets,
      Weighting weighting,
      WeightedCrossEntropy forward) {
    var loss = new WeightedLoss(logits, targets(logits, targets), weighting);
    return loss.backward(to, HostCopy.scalar(dLoss), forward.logSumExp());
  }

  private static int[] targets(Array logits, Array targets) {
    logits.require("logits", targets.dim(0), -1);
    targets.require("targets", -1);
    int[] wanted = HostCopy.ints(targets);
    for (int i = 0; i < wanted.length; i++) {
      if (wanted[i] >= logits.dim(1)) {
        throw new IndexOutOfBoundsException(
            "targets[%d] is %d, of %d logits".formatted(i, wanted[i], logits.dim(1)));
      }
    }
    return wanted;
  }

  @Override
  default Balance balance(
      Arena to,
      List<Array> probabilities,
      List<Array> chosen,
      @Nullable Array mask,
      BalanceForm form,
      double factor) {
    requireLayers(probabilities, mask, form);
    Array loss = to.allocate(probabilities.getFirst().dtype().wide(), 1);
    INDArray total = Nd4jArray.of(loss).assign(0);
    var shares = new ArrayList<Array>();
    for (Array p : probabilities) {
      shares.add(to.allocate(p.dtype().wide(), p.dim(1)));
    }
    if (probabilities.getFirst().dim(0) == 0) {
      shares.forEach(s -> Nd4jArray.of(s).assign(0));
      return new Balance(loss, shares);
    }
    try (var t = new Temporaries()) {
      INDArray weights = perToken(t, probabilities.getFirst(), mask);
      var means = new ArrayList<INDArray>();
      for (int l = 0; l < shares.size(); l++) {
        Array p = probabilities.get(l);
        chosen.get(l).require("chosen", p.dim(0), -1);
        HostCopy.rowNumbers("chosen", chosen.get(l), p.dim(1));
        INDArray counts =
            Selection.counts(t, Nd4jArray.of(chosen.get(l)), p.dim(1), weights.dataType());
        counts.muliColumnVector(weights).sum(Nd4jArray.of(shares.get(l)), 0);
        means.add(t.keep(t.copy(Nd4jArray.number(p)).muliColumnVector(weights).sum(0)));
      }
      List<INDArray> f = layerShares(t, shares, form);
      for (int l = 0; l < f.size(); l++) {
        total.addi(t.keep(means.get(l).muli(f.get(l)).sum(0)));
      }
      total.muli(factor / shares.size());
    }
    return new Balance(loss, shares);
  }

  @Override
  default List<Array> balanceBackward(
      Arena to,
      Array dLoss,
      List<Array> probabilities,
      @Nullable Array mask,
      Balance forward,
      BalanceForm form,
      double factor) {
    requireLayers(probabilities, mask, form);
    double scale = HostCopy.scalar(dLoss) * factor / probabilities.size();
    var gradients = new ArrayList<Array>();
    for (Array p : probabilities) {
      gradients.add(to.allocate(p.dtype().wide(), p.shape()));
    }
    if (probabilities.getFirst().dim(0) > 0) {
      try (var t = new Temporaries()) {
        INDArray weights = perToken(t, probabilities.getFirst(), mask).muli(scale);
        List<INDArray> f = layerShares(t, forward.shares(), form);
        for (int l = 0; l < f.size(); l++) {
          Nd4jArray.of(gradients.get(l))
              .assign(1)
              .muliColumnVector(weights)
              .muliRowVector(f.get(l));
        }
      }
    }
    return gradients;
  }

  /**
   * What each layer's mean probabilities are multiplied by: its own shares, or all layers' mean.
   */
  private static List<INDArray> layerShares(Temporaries t, List<Array> shares, BalanceForm form) {
    List<INDArray> own = shares.stream().map(Nd4jArray::of).toList();
    return switch (form) {
      case PER_LAYER -> own;
      case POOLED -> {
        INDArray mean = t.copy(own.getFirst());
        own.stream().skip(1).forEach(mean::addi);
        mean.divi(own.size());
        yield own.stream().map(s -> mean).toList();
      }
    };
  }

  /** What each token weighs in a mean: 1 / number of unmasked tokens, 0 where masked. [T] */
  private static INDArray perToken(Temporaries t, Array probabilities, @Nullable Array mask) {
    DataType type = Nd4jArray.type(probabilities.dtype().wide());
    if (mask == null) {
      return t.uninitialized(type, probabilities.dim(0)).assign(1.0 / probabilities.dim(0));
    }
    INDArray weights = t.keep(t.keep(Nd4jArray.of(mask).neq(0)).castTo(type));
    // with all tokens masked the loss is 0, not 0 / 0
    return weights.divi(Math.max(1, weights.sumNumber().doubleValue()));
  }

  private static void requireLayers(
      List<Array> probabilities, @Nullable Array mask, BalanceForm form) {
    Array first = probabilities.getFirst();
    for (Array p : probabilities) {
      p.require("probabilities", first.dim(0), form == BalanceForm.POOLED ? first.dim(1) : -1);
      SameType.require("probabilities", p, first.dtype());
    }
    if (mask != null) {
      mask.require("mask", first.dim(0));
      SameType.require("mask", mask, DType.U8);
    }
  }
}
