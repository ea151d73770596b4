package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.HostCopies;
import java.lang.foreign.MemorySegment;

/** Values from and to Java arrays, rounded on the way by chunks rather than in a copy of all. */
interface CpuCopies extends HostCopies {
  CpuDevice cpu();

  @Override
  default Array floats(Arena to, DType dtype, float[] values, long... shape) {
    CpuArray out = sized(to, dtype, values.length, shape);
    cpu()
        .forChunks(
            values.length,
            (lane, first, n) -> {
              Operand target = Operand.out(lane, 0, out, first, n);
              Operand wide = target.wideOut(lane, 1, n);
              MemorySegment.copy(
                  values, (int) first, CpuArray.ALL, CpuArray.FLOAT, wide.address(), n);
              target.take(wide, n);
              target.finish(lane, out, first, n);
            });
    return out;
  }

  @Override
  default Array doubles(Arena to, DType dtype, double[] values, long... shape) {
    if (dtype == DType.F64) {
      return HostCopies.super.doubles(to, dtype, values, shape);
    }
    CpuArray out = sized(to, dtype, values.length, shape);
    cpu()
        .forChunks(
            values.length,
            (lane, first, n) -> {
              float[] rounded = lane.floats(0, n);
              int from = (int) first;
              for (int i = 0; i < n; i++) {
                rounded[i] = (float) values[from + i];
              }
              Floats.store(rounded, n, out, first);
            });
    return out;
  }

  @Override
  default float[] toFloats(Arena scratch, Array array) {
    CpuArray from = CpuArray.of(array);
    float[] values = new float[Math.toIntExact(array.size())];
    cpu()
        .forChunks(
            array.size(),
            (lane, first, n) -> {
              Operand wide = Operand.in(lane, 0, from, first, n).wide(lane, 1, n);
              MemorySegment.copy(
                  CpuArray.ALL, CpuArray.FLOAT, wide.address(), values, (int) first, n);
            });
    return values;
  }

  private static CpuArray sized(Arena to, DType dtype, int length, long... shape) {
    CpuArray out = CpuDevice.allocate(to, dtype, shape);
    if (out.size() != length) {
      throw new ShapeException("%d values for %s".formatted(length, out));
    }
    return out;
  }
}
