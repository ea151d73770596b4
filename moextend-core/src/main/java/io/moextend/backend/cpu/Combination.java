package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Dispatch;
import io.moextend.backend.RoutingKernels.CombineGradients;
import java.util.Arrays;
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
          float[] total = lane.floats(0, width);
          float[] row = lane.floats(1, width);
          Arrays.fill(total, 0, width, 0f);
          for (int j = 0; j < topK; j++) {
            long choice = (long) t * topK + j;
            Floats.load(rows, (long) slot.intAt(choice) * width, width, row);
            VectorMath.addTo(total, weights == null ? 1 : weights.floatAt(choice), row, width);
          }
          Floats.store(total, width, out, (long) t * width);
        });
    return out;
  }

  CombineGradients backward(Arena to, Array dOut, CpuArray weights) {
    CpuArray d = CpuArray.of(dOut);
    dOut.require("dOut", tokens, width);
    CpuArray dRows = CpuDevice.allocate(to, rows.dtype(), rows.shape());
    CpuArray dWeights = CpuDevice.allocate(to, DType.F32, tokens, topK);
    cpu.forRows(
        tokens,
        (long) topK * width,
        (lane, t) -> {
          float[] outer = lane.floats(0, width);
          float[] row = lane.floats(1, width);
          Floats.load(d, (long) t * width, width, outer);
          for (int j = 0; j < topK; j++) {
            long choice = (long) t * topK + j;
            long at = (long) slot.intAt(choice) * width;
            Floats.load(rows, at, width, row);
            dWeights.setFloat(choice, VectorMath.dot(outer, row, width));
            float weight = weights.floatAt(choice);
            for (int i = 0; i < width; i++) {
              row[i] = weight * outer[i];
            }
            Floats.store(row, width, dRows, at);
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
