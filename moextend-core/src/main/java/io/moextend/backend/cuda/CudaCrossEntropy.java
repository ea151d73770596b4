package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.LossKernels;

/** Cross-entropy, plain and weighted; no scalar comes to the host. */
interface CudaCrossEntropy extends LossKernels {
  CudaDevice cuda();

  private Launch entropy(String name) {
    return cuda().launch(Source.LOSS, name);
  }

  @Override
  default CrossEntropy crossEntropy(Arena to, Array logits, Array targets, double denominator) {
    CudaArray source = CudaArray.number(logits);
    CudaArray wanted = targets(logits, targets);
    long rows = logits.dim(0);
    var loss = (CudaArray) to.allocate(DType.F32, 1);
    var perRow = (CudaArray) to.allocate(DType.F32, rows);
    var logSumExp = (CudaArray) to.allocate(DType.F32, rows);
    if (rows > 0) {
      entropy("cross_entropy_" + source.suffix())
          .array(perRow)
          .array(logSumExp)
          .array(source)
          .array(wanted)
          .array(null)
          .number(0)
          .size(rows)
          .size(logits.dim(1))
          .pointer(cuda().fault())
          .run(Grid.rows(rows));
    }
    cuda()
        .launch(Source.UPDATE, "sum_scaled")
        .array(loss)
        .array(perRow)
        .size(rows)
        .wide(1 / denominator)
        .run(Grid.oneBlock());
    return new CrossEntropy(loss, perRow, logSumExp);
  }

  private static CudaArray targets(Array logits, Array targets) {
    targets.require("targets", -1);
    logits.require("logits", targets.dim(0), -1);
    if (logits.dim(1) == 0) {
      throw new ShapeException("%s has no classes".formatted(logits));
    }
    return CudaArray.of(targets, DType.I32);
  }

  @Override
  default Array crossEntropyBackward(
      Arena to,
      Array dLoss,
      Array logits,
      Array targets,
      CrossEntropy forward,
      double denominator) {
    CudaArray source = CudaArray.number(logits);
    CudaArray wanted = targets(logits, targets);
    CudaArray d = CudaArray.of(dLoss, DType.F32);
    var out = (CudaArray) to.allocate(logits.dtype(), logits.shape());
    if (out.size() > 0) {
      entropy("cross_entropy_backward_" + source.suffix())
          .array(out)
          .array(source)
          .array(wanted)
          .array(forward.logSumExp())
          .array(null)
          .array(d)
          .number(1 / denominator)
          .number(0)
          .size(logits.dim(0))
          .size(logits.dim(1))
          .run(Grid.rows(logits.dim(0)));
    }
    return out;
  }

  @Override
  default WeightedCrossEntropy weightedCrossEntropy(
      Arena to, Array logits, Array targets, Weighting weighting) {
    CudaArray source = CudaArray.number(logits);
    CudaArray wanted = targets(logits, targets);
    CudaArray weights = weights(targets, weighting);
    long rows = logits.dim(0);
    long classes = logits.dim(1);
    var loss = (CudaArray) to.allocate(DType.F32, 1);
    var zLoss = (CudaArray) to.allocate(DType.F32, 1);
    var perRow = (CudaArray) to.allocate(DType.F32, rows);
    var logSumExp = (CudaArray) to.allocate(DType.F32, rows);
    if (rows > 0) {
      entropy("smoothed_cross_entropy_" + source.suffix())
          .array(perRow)
          .array(logSumExp)
          .array(source)
          .array(wanted)
          .number(weighting.confidence())
          .number(weighting.rest(classes))
          .number(weighting.floor(classes))
          .size(rows)
          .size(classes)
          .pointer(cuda().fault())
          .run(Grid.rows(rows));
    }
    entropy("weighted_sums")
        .array(loss)
        .array(zLoss)
        .array(perRow)
        .array(logSumExp)
        .array(weights)
        .array(wanted)
        .size(rows)
        .wide(weighting.zLoss())
        .wide(weighting.denominator())
        .run(Grid.oneBlock());
    return new WeightedCrossEntropy(loss, zLoss, perRow, logSumExp);
  }

  private static CudaArray weights(Array targets, Weighting weighting) {
    weighting.weights().require("weights", targets.dim(0));
    return CudaArray.of(weighting.weights(), DType.F32);
  }

  @Override
  default Array weightedCrossEntropyBackward(
      Arena to,
      Array dLoss,
      Array logits,
      Array targets,
      Weighting weighting,
      WeightedCrossEntropy forward) {
    CudaArray source = CudaArray.number(logits);
    CudaArray wanted = targets(logits, targets);
    CudaArray weights = weights(targets, weighting);
    CudaArray d = CudaArray.of(dLoss, DType.F32);
    var out = (CudaArray) to.allocate(logits.dtype(), logits.shape());
    if (out.size() > 0) {
      entropy("smoothed_cross_entropy_backward_" + source.suffix())
          .array(out)
          .array(source)
          .array(wanted)
          .array(forward.logSumExp())
          .array(weights)
          .array(d)
          .number(1 / weighting.denominator())
          .number(weighting.zLoss())
          .number(weighting.confidence())
          .number(weighting.rest(logits.dim(1)))
          .size(logits.dim(0))
          .size(logits.dim(1))
          .run(Grid.rows(logits.dim(0)));
    }
    return out;
  }
}
