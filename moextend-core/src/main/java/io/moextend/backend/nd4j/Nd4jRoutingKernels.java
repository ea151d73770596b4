package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Dispatch;
import io.moextend.backend.RoutingKernels;
import java.lang.foreign.MemorySegment;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * Routing by gathers. The choices are sorted on the host, which waits for them: here alone the
 * promise of the interface is not kept.
 */
interface Nd4jRoutingKernels extends RoutingKernels {
  @Override
  default Array softmax(Arena to, Array logits) {
    logits.require("logits", -1, -1);
    Array out = to.allocate(logits.dtype(), logits.shape());
    if (out.size() > 0) {
      // ND4J's own softmax gives NaN where a whole row is far below zero
      try (var t = new Temporaries()) {
        INDArray in = Nd4jArray.number(logits);
        INDArray p = Nd4jArray.of(out).assign(in).subiColumnVector(t.keep(in.max(1)));
        Transforms.exp(p, false).diviColumnVector(t.keep(p.sum(1)));
      }
    }
    return out;
  }

  @Override
  default Array softmaxBackward(Arena to, Array dProbabilities, Array probabilities) {
    dProbabilities.require("dProbabilities", probabilities.shape());
    SameType.require("dProbabilities", dProbabilities, probabilities.dtype());
    Array out = to.allocate(probabilities.dtype(), probabilities.shape());
    if (out.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray p = Nd4jArray.number(probabilities);
        INDArray d = Nd4jArray.of(dProbabilities);
        INDArray along = t.keep(t.keep(d.mul(p)).sum(1));
        Nd4jArray.of(out).assign(d).subiColumnVector(along).muli(p);
      }
    }
    return out;
  }

  @Override
  default Array topK(Arena to, Array scores, int k) {
    scores.require("scores", -1, -1);
    if (k < 1 || k > scores.dim(1)) {
      throw new ShapeException("top %d of %s".formatted(k, scores));
    }
    Array out = to.allocate(DType.I32, scores.dim(0), k);
    if (scores.size() > 0) {
      try (var t = new Temporaries()) {
        Selection.largest(t, Nd4jArray.of(out), Nd4jArray.number(scores));
      }
    }
    return out;
  }

  @Override
  default Array pick(Arena to, Array scores, Array chosen, boolean normalise) {
    requireChosen(scores, chosen);
    Array out = to.allocate(scores.dtype().wide(), chosen.shape());
    if (out.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray picked = Nd4jArray.of(out);
        Selection.pick(t, picked, Nd4jArray.number(scores), Nd4jArray.of(chosen));
        if (normalise) {
          picked.diviColumnVector(t.keep(picked.sum(1)));
        }
      }
    }
    return out;
  }

  @Override
  default Array pickBackward(
      Arena to, Array dPicked, Array scores, Array chosen, boolean normalise) {
    requireChosen(scores, chosen);
    dPicked.require("dPicked", chosen.shape());
    SameType.require("dPicked", dPicked, scores.dtype().wide());
    Array out = to.allocate(scores.dtype().wide(), scores.shape());
    if (out.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray from = Nd4jArray.number(scores);
        INDArray choices = Nd4jArray.of(chosen);
        INDArray d = t.copy(Nd4jArray.of(dPicked));
        if (normalise) { // w = s / Σs: ds = (d - Σ d w) / Σs
          INDArray picked = t.uninitialized(d.dataType(), d.shape());
          Selection.pick(t, picked, from, choices);
          INDArray sum = t.keep(picked.sum(1));
          INDArray along = t.keep(picked.muli(d).sum(1)).divi(sum);
          d.subiColumnVector(along).diviColumnVector(sum);
        }
        Selection.spread(t, Nd4jArray.of(out), d, choices);
      }
    }
    return out;
  }

  private static void requireChosen(Array scores, Array chosen) {
    chosen.require("chosen", scores.dim(0), -1);
    scores.require("scores", -1, -1);
    HostCopy.rowNumbers("chosen", chosen, scores.dim(1));
  }

  @Override
  default Dispatch dispatch(Arena to, Array chosen, int experts) {
    chosen.require("chosen", -1, -1);
    int tokens = Math.toIntExact(chosen.dim(0));
    int topK = Math.toIntExact(chosen.dim(1));
    int[] choices = HostCopy.rowNumbers("chosen", chosen, experts);
    int[] offsets = new int[experts + 1];
    for (int expert : choices) {
      offsets[expert + 1]++;
    }
    for (int e = 0; e < experts; e++) {
      offsets[e + 1] += offsets[e];
    }
    int[] next = offsets.clone();
    int[] source = new int[choices.length];
    int[] slot = new int[choices.length];
    for (int i = 0; i < choices.length; i++) {
      slot[i] = next[choices[i]]++;
      source[slot[i]] = i / topK;
    }
    return new Dispatch(
        chosen, upload(to, source), upload(to, slot), upload(to, offsets), tokens, topK, experts);
  }

  private static Array upload(Arena to, int[] values) {
    Array array = to.allocate(DType.I32, values.length);
    HostCopy.in(array, MemorySegment.ofArray(values));
    return array;
  }

  @Override
  default Array permute(Arena to, Array x, Dispatch dispatch) {
    x.require("x", dispatch.tokens(), -1);
    Array out = to.allocate(x.dtype(), dispatch.rows(), x.dim(1));
    if (out.size() > 0) {
      RowMoves.gather(Nd4jArray.of(out), Nd4jArray.of(x), Nd4jArray.of(dispatch.source()));
    }
    return out;
  }

  @Override
  default Array permuteBackward(Arena to, Array dRows, Dispatch dispatch) {
    dRows.require("dRows", dispatch.rows(), -1);
    Array out = to.allocate(dRows.dtype(), dispatch.tokens(), dRows.dim(1));
    if (out.size() > 0) {
      try (var t = new Temporaries()) {
        byToken(t, dRows, dispatch).sum(Nd4jArray.of(out), 1);
      }
    }
    return out;
  }

  @Override
  default Array combine(Arena to, Array rows, Array weights, Dispatch dispatch) {
    requireWeights(rows, weights, dispatch);
    Array out = to.allocate(rows.dtype(), dispatch.tokens(), rows.dim(1));
    if (out.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray each = byToken(t, rows, dispatch);
        INDArray share = Nd4jArray.of(weights.reshape(dispatch.tokens(), dispatch.topK(), 1));
        each.muli(share).sum(Nd4jArray.of(out), 1);
      }
    }
    return out;
  }

  @Override
  default CombineGradients combineBackward(
      Arena to, Array dOut, Array rows, Array weights, Dispatch dispatch) {
    requireWeights(rows, weights, dispatch);
    dOut.require("dOut", dispatch.tokens(), rows.dim(1));
    SameType.require("dOut", dOut, rows.dtype());
    Array dRows = to.allocate(rows.dtype(), rows.shape());
    Array dWeights = to.allocate(weights.dtype(), weights.shape());
    if (dRows.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray d = Nd4jArray.number(dOut);
        INDArray perRow = t.uninitialized(d.dataType(), dispatch.rows());
        RowMoves.put(
            perRow, Nd4jArray.of(dispatch.slot()), Nd4jArray.of(weights.reshape(dispatch.rows())));
        INDArray out = Nd4jArray.of(dRows);
        RowMoves.gather(out, d, Nd4jArray.of(dispatch.source())).muliColumnVector(perRow);
        INDArray one = Nd4jArray.of(dOut.reshape(dispatch.tokens(), 1, rows.dim(1)));
        byToken(t, rows, dispatch).muli(one).sum(Nd4jArray.of(dWeights), 2);
      }
    }
    return new CombineGradients(dRows, dWeights);
  }

  /** Each token's k rows in the order they were chosen, [T, k, H]. */
  private static INDArray byToken(Temporaries t, Array rows, Dispatch dispatch) {
    DataType type = Nd4jArray.type(rows.dtype());
    INDArray each = t.uninitialized(type, dispatch.rows(), rows.dim(1));
    return RowMoves.gather(each, Nd4jArray.number(rows), Nd4jArray.of(dispatch.slot()))
        .reshape(dispatch.tokens(), dispatch.topK(), rows.dim(1));
  }

  private static void requireWeights(Array rows, Array weights, Dispatch dispatch) {
    rows.require("rows", dispatch.rows(), -1);
    weights.require("weights", dispatch.tokens(), dispatch.topK());
    SameType.require("weights", weights, rows.dtype().wide());
  }
}
