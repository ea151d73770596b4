package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Dispatch;
import io.moextend.backend.RoutingKernels.CombineGradients;
import org.jspecify.annotations.Nullable;

/** The rows of each token put together again, by gathering: no two workers write one row. */
final class Combination {
  private final CpuDevice cpu;
  private final Dispatch dispatch;
  private final CpuArray slot;
  private final CpuArray rows;
  private final int tokens;
  private final int topK;
  private final int width;

  /**
   * @param rows [dispatch.rows, H]
   */
  Combination(CpuDevice cpu, Dispatch dispatch, Array rows) {
    this.cpu = cpu;
    this.dispatch = dispatch;
    this.slot = CpuArray.of(dispatch.slot(), DType.I32);
    this.rows = CpuArray.of(rows);
    this.rows.require("rows", dispatch.rows(), -1);
    this.tokens = dispatch.tokens();
    this.topK = dispatch.topK();
    this.width = CpuDevice.count(rows.dim(1));
  }

  /**
   * @param weights [tokens, topK] F32; null = all 1
   */
  CpuArray sum(Arena to, @Nullable CpuArray weights) {
    CpuArray out = CpuDevice.allocate(to, rows.dtype(), tokens, width);
    cpu.forRows(
        tokens,
        (long) topK * width,
        (lane, t) -> {
          int n;
          for (int column = 0; column < width; column += n) {
            n = Operand.span(width - column);
            sum(lane, t, column, n, weights, out);
          }
        });
    return out;
  }

  /** Some columns of one token, added up in F32. */
  private void sum(Lane lane, int t, int column, int n, @Nullable CpuArray weights, CpuArray out) {
    long at = (long) t * width + column;
    Operand result = Operand.out(lane, 0, out, at, n);
    if (topK == 2) {
      Operand a = row(lane, 1, t, 0, column, n);
      Operand b = row(lane, 2, t, 1, column, n);
      float s = weight(weights, t, 0);
      float u = weight(weights, t, 1);
      PointwiseLoops.blend(a.address(), s, b.address(), u, result.address(), result.width(), n);
    } else {
      sumAny(lane, t, column, n, weights, result);
    }
    result.finish(lane, out, at, n);
  }

  private void sumAny(
      Lane lane, int t, int column, int n, @Nullable CpuArray weights, Operand result) {
    Operand total = result.wideOut(lane, 1, n);
    Bytes.clear(total.address(), 4L * n);
    for (int j = 0; j < topK; j++) {
      Operand row = row(lane, 2, t, j, column, n);
      SumLoops.add(total.address(), weight(weights, t, j), row.address(), row.width(), n);
    }
    result.take(total, n);
  }

  private Operand row(Lane lane, int copy, int t, int j, int column, int n) {
    long row = slot.intAt((long) t * topK + j);
    return Operand.in(lane, copy, rows, row * width + column, n);
  }

  private float weight(@Nullable CpuArray weights, int t, int j) {
    return weights == null ? 1 : weights.floatAt((long) t * topK + j);
  }

  CombineGradients backward(Arena to, Array dOut, CpuArray weights) {
    CpuArray d = CpuArray.of(dOut, rows.dtype());
    dOut.require("dOut", tokens, width);
    CpuArray dRows = CpuDevice.allocate(to, rows.dtype(), rows.shape());
    CpuArray dWeights = CpuDevice.allocate(to, DType.F32, tokens, topK);
    cpu.forRows(
        tokens,
        (long) topK * width,
        (lane, t) -> {
          Operand outer = Operand.in(lane, 0, d, (long) t * width, width);
          for (int j = 0; j < topK; j++) {
            long choice = (long) t * topK + j;
            long at = (long) slot.intAt(choice) * width;
            Operand row = Operand.in(lane, 1, rows, at, width);
            dWeights.setFloat(choice, outer.dot(row, width));
            Operand dRow = Operand.out(lane, 2, dRows, at, width);
            PointwiseLoops.scale(
                outer.address(), weights.floatAt(choice), dRow.address(), dRow.width(), width);
            dRow.finish(lane, dRows, at, width);
          }
        });
    CpuArray source = CpuArray.of(dispatch.source(), DType.I32);
    for (int r = 0; r < source.size(); r++) {
      if (source.intAt(r) < 0) {
        dRows.clear((long) r * width, width);
      }
    }
    return new CombineGradients(dRows, dWeights);
  }
}
