package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.LossKernels.WeightedCrossEntropy;
import io.moextend.backend.LossKernels.Weighting;

/** Cross-entropy of rows that weigh differently; the sums over rows in double and in order. */
final class WeightedLoss {
  private final CpuDevice cpu;
  private final CpuArray logits;
  private final CpuArray targets;
  private final CpuArray weights;
  private final Weighting weighting;
  private final int classes;

  WeightedLoss(CpuDevice cpu, Array logits, Array targets, Weighting weighting) {
    this.cpu = cpu;
    this.weighting = weighting;
    this.logits = CpuArray.of(logits);
    logits.require("logits", -1, -1);
    this.classes = CpuDevice.count(logits.dim(1));
    this.targets = CpuLosses.targets(targets, logits);
    this.weights = CpuArray.of(weighting.weights(), DType.F32);
    weights.require("weights", logits.dim(0));
  }

  WeightedCrossEntropy forward(Arena to) {
    CpuArray perRow = CpuDevice.allocate(to, DType.F32, logits.dim(0));
    CpuArray logSumExp = CpuDevice.allocate(to, DType.F32, logits.dim(0));
    cpu.forRows(
        logits.dim(0),
        classes,
        (lane, r) -> {
          int wanted = targets.intAt(r);
          float lse = Logits.logSumExp(lane, logits, (long) r * classes, classes);
          logSumExp.setFloat(r, lse);
          perRow.setFloat(r, wanted < 0 ? 0 : (float) (lse - expected(lane, r, wanted)));
        });
    double plain = 0;
    double squares = 0;
    for (long r = 0; r < logits.dim(0); r++) {
      if (targets.intAt(r) >= 0) {
        double lse = logSumExp.floatAt(r);
        plain += (double) weights.floatAt(r) * perRow.floatAt(r);
        squares += weights.floatAt(r) * weighting.zLoss() * lse * lse;
      }
    }
    return new WeightedCrossEntropy(
        scalar(to, plain + squares), scalar(to, squares), perRow, logSumExp);
  }

  private CpuArray scalar(Arena to, double sum) {
    CpuArray scalar = CpuDevice.allocate(to, DType.F32, 1);
    scalar.setFloat(0, (float) (sum / weighting.denominator()));
    return scalar;
  }

  /** Σ over classes of probability wanted · logit, and what is lost in any case. */
  private double expected(Lane lane, int r, int wanted) {
    long first = (long) r * classes;
    double at = Logits.at(lane, logits, first + wanted);
    if (weighting.smoothing() == 0) {
      return at;
    }
    double others = Logits.sum(lane, logits, first, classes) - at;
    return weighting.confidence() * at
        + weighting.rest(classes) * others
        + weighting.floor(classes);
  }

  Array backward(Arena to, Array dLoss, WeightedCrossEntropy forward) {
    CpuArray logSumExp = CpuArray.of(forward.logSumExp(), DType.F32);
    double factor = CpuArray.of(dLoss, DType.F32).floatAt(0) / weighting.denominator();
    CpuArray out = CpuDevice.allocate(to, logits.dtype(), logits.shape());
    cpu.forRows(
        logits.dim(0),
        classes,
        (lane, r) -> {
          int wanted = targets.intAt(r);
          double weight = factor * weights.floatAt(r);
          if (wanted < 0 || weight == 0) {
            out.clear((long) r * classes, classes);
            return;
          }
          float lse = logSumExp.floatAt(r);
          double z = 1 + 2 * weighting.zLoss() * lse;
          double share = weighting.confidence() / z;
          Logits.gradient(lane, logits, out, r, wanted, lse, (float) (weight * z), share);
          if (weighting.smoothing() > 0) {
            Logits.lower(lane, out, r, wanted, (float) (weight * weighting.rest(classes)));
          }
        });
    return out;
  }
}
