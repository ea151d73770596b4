package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.LossKernels;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Losses; rows in parallel, the sum over rows in double and in order. */
interface CpuLosses extends LossKernels {
  CpuDevice cpu();

  @Override
  default CrossEntropy crossEntropy(Arena to, Array logits, Array targets, double denominator) {
    CpuArray a = CpuArray.of(logits);
    logits.require("logits", -1, -1);
    int classes = CpuDevice.count(logits.dim(1));
    CpuArray target = targets(targets, logits);
    CpuArray perRow = CpuDevice.allocate(to, DType.F32, logits.dim(0));
    CpuArray logSumExp = CpuDevice.allocate(to, DType.F32, logits.dim(0));
    cpu()
        .forRows(
            logits.dim(0),
            classes,
            (lane, r) -> {
              int wanted = target.intAt(r);
              float at = wanted < 0 ? 0 : Logits.at(lane, a, (long) r * classes + wanted);
              float lse = Logits.logSumExp(lane, a, (long) r * classes, classes);
              logSumExp.setFloat(r, lse);
              perRow.setFloat(r, wanted < 0 ? 0 : lse - at);
            });
    double sum = 0;
    for (long r = 0; r < logits.dim(0); r++) {
      sum += perRow.floatAt(r);
    }
    CpuArray loss = CpuDevice.allocate(to, DType.F32, 1);
    loss.setFloat(0, (float) (sum / denominator));
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
    CpuArray a = CpuArray.of(logits);
    int classes = CpuDevice.count(logits.dim(1));
    CpuArray target = targets(targets, logits);
    CpuArray logSumExp = CpuArray.of(forward.logSumExp(), DType.F32);
    float factor = (float) (CpuArray.of(dLoss, DType.F32).floatAt(0) / denominator);
    CpuArray out = CpuDevice.allocate(to, logits.dtype(), logits.shape());
    cpu()
        .forRows(
            logits.dim(0),
            classes,
            (lane, r) -> {
              int wanted = target.intAt(r);
              if (wanted < 0) {
                out.clear((long) r * classes, classes);
                return;
              }
              Logits.gradient(lane, a, out, r, wanted, logSumExp.floatAt(r), factor, 1);
            });
    return out;
  }

  @Override
  default WeightedCrossEntropy weightedCrossEntropy(
      Arena to, Array logits, Array targets, Weighting weighting) {
    return new WeightedLoss(cpu(), logits, targets, weighting).forward(to);
  }

  @Override
  default Array weightedCrossEntropyBackward(
      Arena to,
      Array dLoss,
      Array logits,
      Array targets,
      Weighting weighting,
      WeightedCrossEntropy forward) {
    return new WeightedLoss(cpu(), logits, targets, weighting).backward(to, dLoss, forward);
  }

  @Override
  default Balance balance(
      Arena to,
      List<Array> probabilities,
      List<Array> chosen,
      @Nullable Array mask,
      BalanceForm form,
      double factor) {
    int layers = probabilities.size();
    var shares = new ArrayList<Array>();
    for (Array p : probabilities) {
      p.require("probabilities", -1, -1);
      shares.add(CpuDevice.allocate(to, DType.F32, p.dim(1)));
    }
    var means = new double[layers][];
    cpu()
        .workers()
        .run(
            layers,
            (lane, l) -> {
              CpuArray p = CpuArray.of(probabilities.get(l), DType.F32);
              means[l] = meanProbabilities(p, mask);
              countShares(
                  CpuArray.of(chosen.get(l), DType.I32), p, mask, CpuArray.of(shares.get(l)));
            });
    CpuArray loss = CpuDevice.allocate(to, DType.F32, 1);
    double sum = 0;
    double[][] weights = shareWeights(shares, form);
    for (int l = 0; l < layers; l++) {
      for (int e = 0; e < means[l].length; e++) {
        sum += weights[l][e] * means[l][e];
      }
    }
    loss.setFloat(0, (float) (factor * sum));
    return new Balance(loss, List.copyOf(shares));
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
    double scale = factor * CpuArray.of(dLoss, DType.F32).floatAt(0);
    double[][] weights = shareWeights(forward.shares(), form);
    var gradients = new ArrayList<Array>();
    for (int l = 0; l < probabilities.size(); l++) {
      Array p = probabilities.get(l);
      long counted = counted(p.dim(0), mask);
      int experts = CpuDevice.count(p.dim(1));
      float[] row = new float[Math.max(1, CpuDevice.CHUNK / Math.max(1, experts)) * experts];
      for (int i = 0; i < row.length; i++) {
        row[i] = counted == 0 ? 0 : (float) (scale * weights[l][i % experts] / counted);
      }
      gradients.add(sameRows(to, p, row, mask));
    }
    return gradients;
  }

  /**
   * The same row for each token that counts, zeros for others.
   *
   * @param row some times one after the other
   */
  private Array sameRows(Arena to, Array like, float[] row, @Nullable Array mask) {
    int experts = CpuDevice.count(like.dim(1));
    CpuArray out = CpuDevice.allocate(to, DType.F32, like.shape());
    CpuArray counts = mask == null ? null : CpuArray.of(mask, DType.U8);
    cpu()
        .forChunks(
            like.dim(0),
            (lane, first, n) -> {
              long at = first * experts;
              for (long end = at + (long) n * experts; at < end; at += row.length) {
                Floats.store(row, (int) Math.min(row.length, end - at), out, at);
              }
              for (long t = first; counts != null && t < first + n; t++) {
                if (counts.byteAt(t) == 0) {
                  out.clear(t * experts, experts);
                }
              }
            });
    return out;
  }

  /** What each layer's mean probabilities are multiplied by in the loss, before its factor. */
  private static double[][] shareWeights(List<Array> shares, BalanceForm form) {
    int layers = shares.size();
    var weights = new double[layers][];
    for (int l = 0; l < layers; l++) {
      CpuArray f = CpuArray.of(shares.get(l), DType.F32);
      weights[l] = new double[CpuDevice.count(f.size())];
      for (int e = 0; e < weights[l].length; e++) {
        weights[l][e] = f.floatAt(e) / (double) layers;
      }
    }
    if (form == BalanceForm.PER_LAYER || layers == 0) {
      return weights;
    }
    double[] mean = new double[weights[0].length];
    for (double[] layer : weights) {
      if (layer.length != mean.length) {
        throw new ShapeException(
            "POOLED balance over layers of %d and %d experts; use PER_LAYER"
                .formatted(mean.length, layer.length));
      }
      for (int e = 0; e < mean.length; e++) {
        mean[e] += layer[e];
      }
    }
    for (int l = 0; l < layers; l++) {
      weights[l] = mean.clone();
      for (int e = 0; e < mean.length; e++) {
        weights[l][e] /= layers;
      }
    }
    return weights;
  }

  private static double[] meanProbabilities(CpuArray p, @Nullable Array mask) {
    CpuArray counts = mask == null ? null : CpuArray.of(mask, DType.U8);
    int experts = CpuDevice.count(p.dim(1));
    long counted = counted(p.dim(0), mask);
    var mean = new double[experts];
    for (long t = 0; t < p.dim(0); t++) {
      if (counts == null || counts.byteAt(t) != 0) {
        for (int e = 0; e < experts; e++) {
          mean[e] += p.floatAt(t * experts + e);
        }
      }
    }
    for (int e = 0; e < experts; e++) {
      mean[e] /= Math.max(1, counted);
    }
    return mean;
  }

  private static void countShares(
      CpuArray chosen, CpuArray p, @Nullable Array mask, CpuArray shares) {
    CpuArray counts = mask == null ? null : CpuArray.of(mask, DType.U8);
    chosen.require("chosen", p.dim(0), -1);
    long k = chosen.dim(1);
    var hits = new long[CpuDevice.count(shares.size())];
    for (long t = 0; t < p.dim(0); t++) {
      if (counts == null || counts.byteAt(t) != 0) {
        for (long j = 0; j < k; j++) {
          hits[chosen.intAt(t * k + j)]++;
        }
      }
    }
    long counted = Math.max(1, counted(p.dim(0), mask));
    for (int e = 0; e < hits.length; e++) {
      shares.setFloat(e, (float) ((double) hits[e] / counted));
    }
  }

  private static long counted(long tokens, @Nullable Array mask) {
    if (mask == null) {
      return tokens;
    }
    CpuArray counts = CpuArray.of(mask, DType.U8);
    mask.require("mask", tokens);
    long n = 0;
    for (long t = 0; t < tokens; t++) {
      n += counts.byteAt(t) == 0 ? 0 : 1;
    }
    return n;
  }

  /** Targets of these logits. */
  static CpuArray targets(Array targets, Array logits) {
    CpuArray t = CpuArray.of(targets, DType.I32);
    targets.require("targets", logits.dim(0));
    for (long r = 0; r < targets.size(); r++) {
      if (t.intAt(r) >= logits.dim(1)) {
        throw new ShapeException(
            "target %d in row %d, of %d classes".formatted(t.intAt(r), r, logits.dim(1)));
      }
    }
    return t;
  }
}
