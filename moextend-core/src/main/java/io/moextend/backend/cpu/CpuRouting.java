package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Dispatch;
import io.moextend.backend.RoutingKernels;

/** Routing, a token at a time. Rows are short; what counts is that nothing goes over the host. */
interface CpuRouting extends RoutingKernels {
  /** Rows of an average expert from which on the few more that make them even cost little. */
  int EVEN_FROM = 32;

  CpuDevice cpu();

  @Override
  default Array softmax(Arena to, Array logits) {
    CpuArray a = CpuArray.of(logits);
    int width = CpuDevice.count(logits.dim(-1));
    CpuArray out = CpuDevice.allocate(to, logits.dtype(), logits.shape());
    long rows = width == 0 ? 0 : logits.size() / width;
    if (width <= ShortRows.WIDEST) {
      ShortRows.each(
          cpu(),
          rows,
          width,
          block -> {
            Operand scores = block.turned(0, a);
            ScoreLoops.softmax(scores.address(), width);
            block.turnBack(scores, out);
          });
      return out;
    }
    cpu()
        .forRows(
            rows,
            width,
            (lane, r) -> {
              float[] row = lane.floats(0, width);
              Floats.load(a, (long) r * width, width, row);
              float sum = VectorMath.expTo(row, VectorMath.max(row, width), width);
              VectorMath.scale(row, 1 / sum, width);
              Floats.store(row, width, out, (long) r * width);
            });
    return out;
  }

  @Override
  default Array softmaxBackward(Arena to, Array dProbabilities, Array probabilities) {
    CpuArray d = CpuArray.of(dProbabilities);
    CpuArray p = CpuArray.of(probabilities);
    dProbabilities.require("dProbabilities", probabilities.shape());
    int width = CpuDevice.count(probabilities.dim(-1));
    CpuArray out = CpuDevice.allocate(to, probabilities.dtype(), probabilities.shape());
    long rows = width == 0 ? 0 : probabilities.size() / width;
    if (width <= ShortRows.WIDEST) {
      ShortRows.each(
          cpu(),
          rows,
          width,
          block -> {
            Operand g = block.turned(0, d);
            ScoreLoops.softmaxGradient(g.address(), block.turned(1, p).address(), width);
            block.turnBack(g, out);
          });
      return out;
    }
    cpu()
        .forRows(
            rows,
            width,
            (lane, r) -> {
              float[] g = lane.floats(0, width);
              float[] row = lane.floats(1, width);
              Floats.load(d, (long) r * width, width, g);
              Floats.load(p, (long) r * width, width, row);
              float mean = VectorMath.dot(g, row, width);
              for (int i = 0; i < width; i++) {
                g[i] = row[i] * (g[i] - mean);
              }
              Floats.store(g, width, out, (long) r * width);
            });
    return out;
  }

  @Override
  default Array topK(Arena to, Array scores, int k) {
    CpuArray a = CpuArray.of(scores);
    scores.require("scores", -1, -1);
    int experts = CpuDevice.count(scores.dim(1));
    if (k < 1 || k > experts) {
      throw new ShapeException("top %d of %d".formatted(k, experts));
    }
    CpuArray out = CpuDevice.allocate(to, DType.I32, scores.dim(0), k);
    if (experts > ShortRows.WIDEST) {
      cpu().forRows(scores.dim(0), experts, (lane, r) -> LongRow.topK(lane, a, r, out));
      return out;
    }
    ShortRows.each(
        cpu(),
        scores.dim(0),
        experts,
        block -> {
          long turned = block.turned(0, a).address();
          Operand columns = block.columns(k);
          ScoreLoops.keys(turned, experts);
          for (int j = 0; j < k; j++) {
            long column = columns.address() + 4L * j * ScoreLoops.ROWS;
            ScoreLoops.takeLargest(turned, experts, column);
          }
          block.write(columns, out);
        });
    return out;
  }

  @Override
  default Array pick(Arena to, Array scores, Array chosen, boolean normalise) {
    CpuArray s = CpuArray.of(scores, DType.F32);
    CpuArray c = CpuArray.of(chosen, DType.I32);
    chosen.require("chosen", scores.dim(0), -1);
    int experts = CpuDevice.count(scores.dim(1));
    int k = CpuDevice.count(chosen.dim(1));
    CpuArray out = CpuDevice.allocate(to, DType.F32, chosen.shape());
    cpu()
        .forChunks(
            scores.dim(0),
            (lane, first, n) -> {
              for (long t = first; t < first + n; t++) {
                float sum = normalise ? pickedSum(s, c, t, experts, k) : 1;
                for (long at = t * k; at < (t + 1) * k; at++) {
                  out.setFloat(at, s.floatAt(t * experts + c.intAt(at)) / sum);
                }
              }
            });
    return out;
  }

  private static float pickedSum(CpuArray s, CpuArray c, long t, int experts, int k) {
    float sum = 0;
    for (long at = t * k; at < (t + 1) * k; at++) {
      sum += s.floatAt(t * experts + c.intAt(at));
    }
    return sum;
  }

  /** Normalised: d s_c = (d_c - Σ_j d_j w_j) / sum, with w the normalised weights. */
  @Override
  default Array pickBackward(
      Arena to, Array dPicked, Array scores, Array chosen, boolean normalise) {
    CpuArray d = CpuArray.of(dPicked, DType.F32);
    CpuArray s = CpuArray.of(scores, DType.F32);
    CpuArray c = CpuArray.of(chosen, DType.I32);
    dPicked.require("dPicked", chosen.shape());
    int experts = CpuDevice.count(scores.dim(1));
    int k = CpuDevice.count(chosen.dim(1));
    CpuArray out = CpuDevice.allocate(to, DType.F32, scores.shape());
    cpu()
        .forChunks(
            scores.dim(0),
            (lane, first, n) -> {
              out.clear(first * experts, (long) n * experts);
              for (long t = first; t < first + n; t++) {
                float sum = normalise ? pickedSum(s, c, t, experts, k) : 1;
                float mean = 0;
                for (long at = t * k; normalise && at < (t + 1) * k; at++) {
                  mean += d.floatAt(at) * s.floatAt(t * experts + c.intAt(at)) / sum;
                }
                for (long at = t * k; at < (t + 1) * k; at++) {
                  long score = t * experts + c.intAt(at);
                  out.setFloat(score, out.floatAt(score) + (d.floatAt(at) - mean) / sum);
                }
              }
            });
    return out;
  }

  @Override
  default Dispatch dispatch(Arena to, Array chosen, int experts) {
    CpuArray c = CpuArray.of(chosen, DType.I32);
    chosen.require("chosen", -1, -1);
    int tokens = CpuDevice.count(chosen.dim(0));
    int k = CpuDevice.count(chosen.dim(1));
    int choices = CpuDevice.count(chosen.size());
    int[] count = new int[experts];
    for (int i = 0; i < choices; i++) {
      int expert = c.intAt(i);
      if (expert < 0 || expert >= experts) {
        throw new ShapeException(
            "token %d chose expert %d of %d".formatted(i / k, expert, experts));
      }
      count[expert]++;
    }
    CpuArray offsets = CpuDevice.allocate(to, DType.I32, experts + 1L);
    boolean even = choices >= EVEN_FROM * (long) experts;
    int[] next = new int[experts];
    int rows = 0;
    for (int e = 0; e < experts; e++) {
      offsets.setInt(e, rows);
      next[e] = rows;
      rows += even ? Gemm.evenRows(count[e]) : count[e];
    }
    offsets.setInt(experts, rows);
    CpuArray source = CpuDevice.allocate(to, DType.I32, rows);
    CpuArray slot = CpuDevice.allocate(to, DType.I32, choices);
    for (int i = 0; i < choices; i++) {
      int row = next[c.intAt(i)]++;
      source.setInt(row, i / k);
      slot.setInt(i, row);
    }
    for (int e = 0; e < experts; e++) {
      for (int row = next[e]; row < offsets.intAt(e + 1); row++) {
        source.setInt(row, -1);
      }
    }
    return new Dispatch(chosen, source, slot, offsets, tokens, k, experts);
  }

  @Override
  default Array permute(Arena to, Array x, Dispatch dispatch) {
    CpuArray a = CpuArray.of(x);
    CpuArray source = CpuArray.of(dispatch.source(), DType.I32);
    x.require("x", dispatch.tokens(), -1);
    long width = x.dim(1);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), dispatch.rows(), width);
    cpu()
        .forRows(
            dispatch.rows(),
            width,
            (lane, r) -> {
              int token = source.intAt(r);
              if (token < 0) {
                out.clear(r * width, width);
              } else {
                CpuArray.copy(a, token * width, out, r * width, width);
              }
            });
    return out;
  }

  @Override
  default Array permuteBackward(Arena to, Array dRows, Dispatch dispatch) {
    return new Combination(cpu(), dispatch, dRows).sum(to, null);
  }

  @Override
  default Array combine(Arena to, Array rows, Array weights, Dispatch dispatch) {
    weights.require("weights", dispatch.tokens(), dispatch.topK());
    return new Combination(cpu(), dispatch, rows).sum(to, CpuArray.of(weights, DType.F32));
  }

  @Override
  default CombineGradients combineBackward(
      Arena to, Array dOut, Array rows, Array weights, Dispatch dispatch) {
    weights.require("weights", dispatch.tokens(), dispatch.topK());
    return new Combination(cpu(), dispatch, rows)
        .backward(to, dOut, CpuArray.of(weights, DType.F32));
  }
}
