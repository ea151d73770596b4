package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.LossKernels;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

interface PlainLossKernels extends LossKernels {
  private static PlainArray of(Array array) {
    return PlainArray.of(array);
  }

  private static PlainArray zeros(Arena to, long... shape) {
    PlainArray zeros = of(to.allocate(DType.F64, shape));
    for (int i = 0; i < zeros.size(); i++) {
      zeros.set(i, 0);
    }
    return zeros;
  }

  @Override
  default CrossEntropy crossEntropy(Arena to, Array logits, Array targets, double denominator) {
    PlainArray in = of(logits);
    PlainArray loss = zeros(to, 1);
    PlainArray perRow = zeros(to, in.rows());
    PlainArray logSumExp = zeros(to, in.rows());
    for (int r = 0; r < in.rows(); r++) {
      double sum = 0;
      for (int c = 0; c < in.width(); c++) {
        sum += Math.exp(in.get(r, c));
      }
      logSumExp.set(r, Math.log(sum));
      int target = of(targets).integer(r);
      if (target >= 0) {
        perRow.set(r, Math.log(sum) - in.get(r, target));
        loss.set(0, loss.get(0) + perRow.get(r) / denominator);
      }
    }
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
    PlainArray in = of(logits);
    PlainArray out = zeros(to, logits.shape());
    for (int r = 0; r < in.rows(); r++) {
      int target = of(targets).integer(r);
      for (int c = 0; target >= 0 && c < in.width(); c++) {
        double p = Math.exp(in.get(r, c) - of(forward.logSumExp()).get(r));
        out.set(r, c, of(dLoss).get(0) * (p - (c == target ? 1 : 0)) / denominator);
      }
    }
    return out;
  }

  @Override
  default WeightedCrossEntropy weightedCrossEntropy(
      Arena to, Array logits, Array targets, Weighting weighting) {
    PlainArray in = of(logits);
    CrossEntropy plain = crossEntropy(to, logits, targets, 1);
    PlainArray loss = zeros(to, 1);
    PlainArray zLoss = zeros(to, 1);
    PlainArray perRow = zeros(to, in.rows());
    for (int r = 0; r < in.rows(); r++) {
      double sum = of(plain.logSumExp()).get(r);
      int target = of(targets).integer(r);
      if (target >= 0) {
        double lost = -weighting.floor(in.width());
        for (int c = 0; c < in.width(); c++) {
          lost += wanted(weighting, c == target, in.width()) * (sum - in.get(r, c));
        }
        perRow.set(r, lost);
        double weight = of(weighting.weights()).get(r) / weighting.denominator();
        zLoss.set(0, zLoss.get(0) + weight * weighting.zLoss() * sum * sum);
        loss.set(0, loss.get(0) + weight * (lost + weighting.zLoss() * sum * sum));
      }
    }
    return new WeightedCrossEntropy(loss, zLoss, perRow, plain.logSumExp());
  }

  private static double wanted(Weighting weighting, boolean target, int classes) {
    return target ? weighting.confidence() : weighting.rest(classes);
  }

  @Override
  default Array weightedCrossEntropyBackward(
      Arena to,
      Array dLoss,
      Array logits,
      Array targets,
      Weighting weighting,
      WeightedCrossEntropy forward) {
    PlainArray in = of(logits);
    PlainArray out = zeros(to, logits.shape());
    for (int r = 0; r < in.rows(); r++) {
      int target = of(targets).integer(r);
      double sum = of(forward.logSumExp()).get(r);
      double weight = of(weighting.weights()).get(r) / weighting.denominator();
      for (int c = 0; target >= 0 && c < in.width(); c++) {
        double p = Math.exp(in.get(r, c) - sum) * (1 + 2 * weighting.zLoss() * sum);
        double d = p - wanted(weighting, c == target, in.width());
        out.set(r, c, of(dLoss).get(0) * weight * d);
      }
    }
    return out;
  }

  private static double counts(@Nullable Array mask, int t) {
    return mask == null || of(mask).get(t) != 0 ? 1 : 0;
  }

  private static double counted(@Nullable Array mask, long tokens) {
    double n = 0;
    for (int t = 0; t < tokens; t++) {
      n += counts(mask, t);
    }
    return Math.max(n, 1); // nothing counts: nothing is lost
  }

  @Override
  default Balance balance(
      Arena to,
      List<Array> probabilities,
      List<Array> chosen,
      @Nullable Array mask,
      BalanceForm form,
      double factor) {
    long tokens = probabilities.getFirst().dim(0);
    double n = counted(mask, tokens);
    var shares = new ArrayList<Array>();
    var means = new ArrayList<Array>();
    for (int l = 0; l < probabilities.size(); l++) {
      PlainArray p = of(probabilities.get(l));
      PlainArray share = zeros(to, p.dim(1));
      PlainArray mean = zeros(to, p.dim(1));
      for (int t = 0; t < tokens; t++) {
        for (int e = 0; e < p.width(); e++) {
          mean.set(e, mean.get(e) + counts(mask, t) * p.get(t, e) / n);
        }
        for (int j = 0; j < chosen.get(l).dim(1); j++) {
          int e = (int) of(chosen.get(l)).get(t, j);
          share.set(e, share.get(e) + counts(mask, t) / n);
        }
      }
      shares.add(share);
      means.add(mean);
    }
    PlainArray loss = zeros(to, 1);
    int layers = shares.size();
    for (int l = 0; l < layers; l++) {
      for (int e = 0; e < shares.get(l).size(); e++) {
        double value = 0;
        switch (form) {
          case PER_LAYER -> value = of(shares.get(l)).get(e) * of(means.get(l)).get(e) / layers;
          case POOLED -> value = mean(shares, e) * mean(means, e) / layers; // summed over l: once
        }
        loss.set(0, loss.get(0) + factor * value);
      }
    }
    return new Balance(loss, shares);
  }

  private static double mean(List<Array> layers, int e) {
    return layers.stream().mapToDouble(a -> of(a).get(e)).sum() / layers.size();
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
    var gradients = new ArrayList<Array>();
    for (int l = 0; l < probabilities.size(); l++) {
      PlainArray out = zeros(to, probabilities.get(l).shape());
      for (int t = 0; t < out.rows(); t++) {
        for (int e = 0; e < out.width(); e++) {
          double share =
              form == BalanceForm.PER_LAYER
                  ? of(forward.shares().get(l)).get(e)
                  : mean(forward.shares(), e);
          double weight = counts(mask, t) / counted(mask, out.rows());
          out.set(t, e, of(dLoss).get(0) * factor * share * weight / probabilities.size());
        }
      }
      gradients.add(out);
    }
    return gradients;
  }
}
