package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Dispatch;
import io.moextend.backend.RoutingKernels;
import org.jspecify.annotations.Nullable;

/**
 * Choosing experts and moving rows. A dispatch has exactly tokens·topK rows: products mask the
 * edges of their tiles, so that groups need no rows of zeros and the host no counts.
 */
interface CudaRouting extends RoutingKernels {
  /** Choices that one block of the sort looks at. */
  long CHUNK = 256;

  CudaDevice cuda();

  private Launch routing(String name) {
    return cuda().launch(Source.ROUTING, name);
  }

  @Override
  default Array softmax(Arena to, Array logits) {
    CudaArray source = CudaArray.number(logits);
    logits.require("logits", -1, -1);
    var out = (CudaArray) to.allocate(logits.dtype(), logits.shape());
    if (out.size() > 0) {
      routing("softmax_" + source.suffix())
          .array(out)
          .array(source)
          .size(logits.dim(0))
          .size(logits.dim(1))
          .run(Grid.warps(logits.dim(0)));
    }
    return out;
  }

  @Override
  default Array softmaxBackward(Arena to, Array dProbabilities, Array probabilities) {
    CudaArray p = CudaArray.number(probabilities);
    CudaArray d = CudaArray.of(dProbabilities, p.dtype());
    probabilities.require("probabilities", -1, -1);
    dProbabilities.require("dProbabilities", probabilities.shape());
    var out = (CudaArray) to.allocate(p.dtype(), p.shape());
    if (out.size() > 0) {
      routing("softmax_backward_" + p.suffix())
          .array(out)
          .array(d)
          .array(p)
          .size(p.dim(0))
          .size(p.dim(1))
          .run(Grid.warps(p.dim(0)));
    }
    return out;
  }

  @Override
  default Array topK(Arena to, Array scores, int k) {
    CudaArray source = CudaArray.number(scores);
    scores.require("scores", -1, -1);
    if (k < 1 || k > scores.dim(1)) {
      throw new ShapeException("the %d largest of each row of %s".formatted(k, scores));
    }
    var out = (CudaArray) to.allocate(DType.I32, scores.dim(0), k);
    if (out.size() > 0) {
      routing("top_k_" + source.suffix())
          .array(out)
          .array(source)
          .size(scores.dim(0))
          .flag(Math.toIntExact(scores.dim(1)))
          .flag(k)
          .run(Grid.threads(scores.dim(0)));
    }
    return out;
  }

  @Override
  default Array pick(Arena to, Array scores, Array chosen, boolean normalise) {
    CudaArray source = CudaArray.of(scores, DType.F32);
    CudaArray which = chosen(scores, chosen);
    var out = (CudaArray) to.allocate(DType.F32, chosen.shape());
    if (out.size() > 0) {
      routing("pick_f32")
          .array(out)
          .array(source)
          .array(which)
          .size(scores.dim(0))
          .flag(Math.toIntExact(scores.dim(1)))
          .flag(Math.toIntExact(chosen.dim(1)))
          .flag(normalise)
          .run(Grid.threads(scores.dim(0)));
    }
    return out;
  }

  @Override
  default Array pickBackward(
      Arena to, Array dPicked, Array scores, Array chosen, boolean normalise) {
    CudaArray source = CudaArray.of(scores, DType.F32);
    CudaArray which = chosen(scores, chosen);
    CudaArray d = CudaArray.of(dPicked, DType.F32);
    dPicked.require("dPicked", chosen.shape());
    var out = (CudaArray) to.allocate(DType.F32, scores.shape());
    if (out.size() > 0) {
      routing("pick_backward_f32")
          .array(out)
          .array(d)
          .array(source)
          .array(which)
          .size(scores.dim(0))
          .flag(Math.toIntExact(scores.dim(1)))
          .flag(Math.toIntExact(chosen.dim(1)))
          .flag(normalise)
          .run(Grid.threads(scores.dim(0)));
    }
    return out;
  }

  private static CudaArray chosen(Array scores, Array chosen) {
    scores.require("scores", -1, -1);
    chosen.require("chosen", scores.dim(0), -1);
    return CudaArray.of(chosen, DType.I32);
  }

  @Override
  default Dispatch dispatch(Arena to, Array chosen, int experts) {
    CudaArray which = CudaArray.of(chosen, DType.I32);
    chosen.require("chosen", -1, -1);
    long n = chosen.size();
    int topK = Math.toIntExact(chosen.dim(1));
    long chunks = Grid.ceil(n, CHUNK);
    var source = (CudaArray) to.allocate(DType.I32, n);
    var slot = (CudaArray) to.allocate(DType.I32, n);
    var offsets = (CudaArray) to.allocate(DType.I32, experts + 1L);
    if (n == 0) {
      cuda().clear(offsets);
    } else {
      try (var counts = cuda().scratch(DType.I32, chunks, experts)) {
        routing("dispatch_count")
            .array(counts.array())
            .array(which)
            .size(n)
            .flag(experts)
            .pointer(cuda().fault())
            .run(Grid.blocks(chunks, 4 * experts));
        routing("dispatch_offsets")
            .array(counts.array())
            .array(offsets)
            .size(chunks)
            .flag(experts)
            .run(Grid.oneBlock());
        routing("dispatch_place")
            .array(source)
            .array(slot)
            .array(counts.array())
            .array(which)
            .size(n)
            .flag(experts)
            .flag(topK)
            .run(Grid.blocks(chunks, 0));
      }
    }
    int tokens = Math.toIntExact(chosen.dim(0));
    return new Dispatch(chosen, source, slot, offsets, tokens, topK, experts);
  }

  @Override
  default Array permute(Arena to, Array x, Dispatch dispatch) {
    CudaArray from = CudaArray.of(x);
    CudaArray source = CudaArray.of(dispatch.source(), DType.I32);
    x.require("x", dispatch.tokens(), -1);
    var out = (CudaArray) to.allocate(x.dtype(), dispatch.rows(), x.dim(1));
    if (out.size() > 0) {
      cuda()
          .launch(Source.ROWS, "gather_rows")
          .array(out)
          .array(from)
          .array(source)
          .size(dispatch.rows())
          .size(from.rowBytes())
          .size(x.dim(0))
          .pointer(cuda().fault())
          .run(Grid.rows(dispatch.rows()));
    }
    return out;
  }

  @Override
  default Array permuteBackward(Arena to, Array dRows, Dispatch dispatch) {
    return unpermute(to, dRows, null, dispatch);
  }

  @Override
  default Array combine(Arena to, Array rows, Array weights, Dispatch dispatch) {
    weights.require("weights", dispatch.tokens(), dispatch.topK());
    return unpermute(to, rows, CudaArray.of(weights, DType.F32), dispatch);
  }

  private Array unpermute(Arena to, Array rows, @Nullable CudaArray weights, Dispatch dispatch) {
    CudaArray from = CudaArray.number(rows);
    CudaArray slot = CudaArray.of(dispatch.slot(), DType.I32);
    rows.require("rows", dispatch.rows(), -1);
    var out = (CudaArray) to.allocate(rows.dtype(), dispatch.tokens(), rows.dim(1));
    if (out.size() > 0) {
      routing("unpermute_" + from.suffix())
          .array(out)
          .array(from)
          .array(slot)
          .array(weights)
          .size(dispatch.tokens())
          .flag(dispatch.topK())
          .size(rows.dim(1))
          .run(Grid.rows(dispatch.tokens()));
    }
    return out;
  }

  @Override
  default CombineGradients combineBackward(
      Arena to, Array dOut, Array rows, Array weights, Dispatch dispatch) {
    CudaArray from = CudaArray.number(rows);
    CudaArray d = CudaArray.of(dOut, rows.dtype());
    CudaArray shares = CudaArray.of(weights, DType.F32);
    CudaArray slot = CudaArray.of(dispatch.slot(), DType.I32);
    rows.require("rows", dispatch.rows(), -1);
    weights.require("weights", dispatch.tokens(), dispatch.topK());
    dOut.require("dOut", dispatch.tokens(), rows.dim(1));
    var dRows = (CudaArray) to.allocate(rows.dtype(), rows.shape());
    var dWeights = (CudaArray) to.allocate(DType.F32, weights.shape());
    if (dRows.size() > 0) {
      routing("combine_backward_" + from.suffix())
          .array(dRows)
          .array(dWeights)
          .array(d)
          .array(from)
          .array(shares)
          .array(slot)
          .size(dispatch.tokens())
          .flag(dispatch.topK())
          .size(rows.dim(1))
          .run(Grid.rows(dispatch.tokens()));
    }
    return new CombineGradients(dRows, dWeights);
  }
}
