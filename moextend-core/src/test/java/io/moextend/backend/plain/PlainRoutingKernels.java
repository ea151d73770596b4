package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Dispatch;
import io.moextend.backend.RoutingKernels;
import java.util.ArrayList;
import java.util.Comparator;

interface PlainRoutingKernels extends RoutingKernels {
  private static PlainArray of(Array array) {
    return PlainArray.of(array);
  }

  private static PlainArray zeros(Arena to, DType dtype, long... shape) {
    PlainArray zeros = of(to.allocate(dtype, shape));
    for (int i = 0; i < zeros.size(); i++) {
      zeros.set(i, 0);
    }
    return zeros;
  }

  @Override
  default Array softmax(Arena to, Array logits) {
    PlainArray in = of(logits);
    PlainArray out = zeros(to, logits.dtype(), logits.shape());
    for (int t = 0; t < in.rows(); t++) {
      double max = Double.NEGATIVE_INFINITY;
      for (int e = 0; e < in.width(); e++) {
        max = Math.max(max, in.get(t, e));
      }
      double sum = 0;
      for (int e = 0; e < in.width(); e++) {
        sum += Math.exp(in.get(t, e) - max);
      }
      for (int e = 0; e < in.width(); e++) {
        out.set(t, e, Math.exp(in.get(t, e) - max) / sum);
      }
    }
    return out;
  }

  @Override
  default Array softmaxBackward(Arena to, Array dProbabilities, Array probabilities) {
    PlainArray p = of(probabilities);
    PlainArray out = zeros(to, p.dtype(), p.shape());
    for (int t = 0; t < p.rows(); t++) {
      for (int e = 0; e < p.width(); e++) {
        for (int j = 0; j < p.width(); j++) { // the Jacobian, p_j (1[j = e] - p_e)
          double jacobian = p.get(t, j) * ((j == e ? 1 : 0) - p.get(t, e));
          out.add(t, e, of(dProbabilities).get(t, j) * jacobian);
        }
      }
    }
    return out;
  }

  @Override
  default Array topK(Arena to, Array scores, int k) {
    PlainArray out = zeros(to, DType.I32, scores.dim(0), k);
    for (int t = 0; t < out.rows(); t++) {
      int row = t;
      var experts = new ArrayList<Integer>();
      for (int e = 0; e < scores.dim(1); e++) {
        experts.add(e);
      }
      // stable; 0 - x makes both zeros one
      experts.sort(Comparator.comparingDouble(e -> 0 - of(scores).get(row, e)));
      for (int j = 0; j < k; j++) {
        out.set(t, j, experts.get(j));
      }
    }
    return out;
  }

  private static double chosenSum(Array scores, Array chosen, int t) {
    double sum = 0;
    for (int j = 0; j < chosen.dim(1); j++) {
      sum += of(scores).get(t, (int) of(chosen).get(t, j));
    }
    return sum;
  }

  @Override
  default Array pick(Arena to, Array scores, Array chosen, boolean normalise) {
    PlainArray out = zeros(to, scores.dtype(), chosen.shape());
    for (int t = 0; t < out.rows(); t++) {
      double by = normalise ? chosenSum(scores, chosen, t) : 1;
      for (int j = 0; j < out.width(); j++) {
        out.set(t, j, of(scores).get(t, (int) of(chosen).get(t, j)) / by);
      }
    }
    return out;
  }

  @Override
  default Array pickBackward(
      Arena to, Array dPicked, Array scores, Array chosen, boolean normalise) {
    PlainArray out = zeros(to, scores.dtype(), scores.shape());
    for (int t = 0; t < out.rows(); t++) {
      double sum = normalise ? chosenSum(scores, chosen, t) : 1;
      for (int j = 0; j < chosen.dim(1); j++) {
        double d = of(dPicked).get(t, j);
        int own = (int) of(chosen).get(t, j);
        out.add(t, own, d / sum);
        for (int i = 0;
            normalise && i < chosen.dim(1);
            i++) { // the sum's part of the quotient rule
          int other = (int) of(chosen).get(t, i);
          out.add(t, other, -d * of(scores).get(t, own) / (sum * sum));
        }
      }
    }
    return out;
  }

  @Override
  default Dispatch dispatch(Arena to, Array chosen, int experts) {
    int topK = (int) chosen.dim(1);
    PlainArray source = zeros(to, DType.I32, chosen.size());
    PlainArray slot = zeros(to, DType.I32, chosen.size());
    PlainArray offsets = zeros(to, DType.I32, experts + 1);
    int row = 0;
    for (int e = 0; e < experts; e++) {
      for (int i = 0; i < chosen.size(); i++) {
        if (of(chosen).integer(i) == e) {
          source.set(row, i / topK);
          slot.set(i, row++);
        }
      }
      offsets.set(e + 1, row);
    }
    return new Dispatch(chosen, source, slot, offsets, (int) chosen.dim(0), topK, experts);
  }

  @Override
  default Array permute(Arena to, Array x, Dispatch dispatch) {
    PlainArray out = zeros(to, x.dtype(), dispatch.rows(), x.dim(1));
    for (int r = 0; r < out.rows(); r++) {
      for (int h = 0; h < out.width(); h++) {
        out.set(r, h, of(x).get(of(dispatch.source()).integer(r), h));
      }
    }
    return out;
  }

  @Override
  default Array permuteBackward(Arena to, Array dRows, Dispatch dispatch) {
    PlainArray out = zeros(to, dRows.dtype(), dispatch.tokens(), dRows.dim(1));
    for (int r = 0; r < dispatch.rows(); r++) {
      for (int h = 0; h < out.width(); h++) {
        out.add(of(dispatch.source()).integer(r), h, of(dRows).get(r, h));
      }
    }
    return out;
  }

  @Override
  default Array combine(Arena to, Array rows, Array weights, Dispatch dispatch) {
    PlainArray out = zeros(to, rows.dtype(), dispatch.tokens(), rows.dim(1));
    for (int i = 0; i < dispatch.rows(); i++) {
      int row = of(dispatch.slot()).integer(i);
      for (int h = 0; h < out.width(); h++) {
        out.add(i / dispatch.topK(), h, of(weights).get(i) * of(rows).get(row, h));
      }
    }
    return out;
  }

  @Override
  default CombineGradients combineBackward(
      Arena to, Array dOut, Array rows, Array weights, Dispatch dispatch) {
    PlainArray dRows = zeros(to, rows.dtype(), rows.shape());
    PlainArray dWeights = zeros(to, weights.dtype(), weights.shape());
    for (int i = 0; i < dispatch.rows(); i++) {
      int row = of(dispatch.slot()).integer(i);
      double sum = 0;
      for (int h = 0; h < dRows.width(); h++) {
        double d = of(dOut).get(i / dispatch.topK(), h);
        dRows.set(row, h, of(weights).get(i) * d);
        sum += d * of(rows).get(row, h);
      }
      dWeights.set(i, sum);
    }
    return new CombineGradients(dRows, dWeights);
  }
}
