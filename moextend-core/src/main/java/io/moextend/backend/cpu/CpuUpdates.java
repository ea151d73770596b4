package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.UpdateKernels;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Kernels that write in place, by chunks. */
interface CpuUpdates extends UpdateKernels {
  /** Four arrays are read, three written, and there is a root and a quotient of each element. */
  int ADAM_COST = 4;

  CpuDevice cpu();

  @Override
  default void accumulateInto(Array into, Array from, double s) {
    CpuArray sum = CpuArray.into(into);
    CpuArray source = CpuArray.of(from);
    sameSize(into, from);
    float factor = (float) s;
    cpu()
        .forChunks(
            into.size(),
            (lane, first, n) -> {
              Operand a = Operand.in(lane, 0, sum, first, n);
              Operand b = Operand.in(lane, 1, source, first, n);
              Operand wide = a.wide(lane, 2, n);
              SumLoops.add(wide.address(), factor, b.address(), b.width(), n);
              a.take(wide, n);
              a.finish(lane, sum, first, n);
            });
  }

  @Override
  default void fillInto(Array into, double value) {
    CpuArray out = CpuArray.into(into);
    cpu()
        .forChunks(
            into.size(),
            (lane, first, n) -> {
              if (value == 0) {
                out.clear(first, n);
              } else {
                fill(lane, out, first, n, value);
              }
            });
  }

  private static void fill(Lane lane, CpuArray out, long first, int n, double value) {
    switch (out.dtype()) {
      case I32 -> {
        for (int i = 0; i < n; i++) {
          out.setInt(first + i, Math.toIntExact((long) value));
        }
      }
      case I8, U8 ->
          CpuArray.ALL.asSlice(out.address(first), n).fill((byte) Math.toIntExact((long) value));
      case I64 -> {
        for (int i = 0; i < n; i++) {
          CpuArray.ALL.set(ValueLayout.JAVA_LONG_UNALIGNED, out.address(first + i), (long) value);
        }
      }
      case F64, F32, BF16, F16 -> {
        float[] a = lane.floats(0, n);
        Arrays.fill(a, 0, n, (float) value);
        Floats.store(a, n, out, first);
      }
    }
  }

  @Override
  default void copyInto(Array into, Array from) {
    sameSize(into, from);
    cpu().convert(CpuArray.of(from), CpuArray.into(into));
  }

  /** Blocks of a fixed size, added in order: the same bits for any number of threads. */
  @Override
  default Array sumOfSquares(Arena to, Array x) {
    CpuArray a = CpuArray.of(x);
    int block = 1 << 16;
    int blocks = CpuDevice.count((x.size() + block - 1) / block);
    int lanes = Vectors.LANES;
    CpuArray sums = CpuDevice.allocate(to, DType.F64, blocks, lanes);
    cpu()
        .forRows(
            blocks,
            block,
            (lane, i) -> {
              sums.clear((long) i * lanes, lanes);
              long end = Math.min(x.size(), (i + 1L) * block);
              int n;
              for (long first = (long) i * block; first < end; first += n) {
                n = Operand.span(end - first);
                Operand values = Operand.in(lane, 0, a, first, n);
                SumLoops.addSquares(
                    sums.address((long) i * lanes), values.address(), values.width(), n);
              }
            });
    double total = 0;
    for (long i = 0; i < sums.size(); i++) {
      total += CpuArray.ALL.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, sums.address(i));
    }
    to.free(sums);
    CpuArray out = CpuDevice.allocate(to, DType.F64, 1);
    CpuArray.ALL.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, out.address(), total);
    return out;
  }

  @Override
  default void adamInto(Array master, Array m, Array v, Array gradient, AdamStep how) {
    adam(null, master, m, v, gradient, how);
  }

  @Override
  default void adamInto(
      Array weights, Array master, Array m, Array v, Array gradient, AdamStep how) {
    sameSize(master, weights);
    adam(CpuArray.into(weights), master, m, v, gradient, how);
  }

  private void adam(
      @Nullable CpuArray rounded, Array master, Array m, Array v, Array gradient, AdamStep how) {
    CpuArray weights = CpuArray.into(CpuArray.of(master, DType.F32));
    CpuArray first = CpuArray.into(CpuArray.of(m, DType.F32));
    CpuArray second = CpuArray.into(CpuArray.of(v, DType.F32));
    CpuArray g = CpuArray.of(gradient, DType.F32);
    sameSize(master, m);
    sameSize(master, v);
    sameSize(master, gradient);
    cpu()
        .forChunks(
            master.size(),
            ADAM_COST,
            (lane, at, n) -> {
              float[] w = lane.floats(0, n);
              float[] m1 = lane.floats(1, n);
              float[] m2 = lane.floats(2, n);
              float[] d = lane.floats(3, n);
              Floats.load(weights, at, n, w);
              Floats.load(first, at, n, m1);
              Floats.load(second, at, n, m2);
              Floats.load(g, at, n, d);
              adam(w, m1, m2, d, n, how);
              Floats.store(w, n, weights, at);
              Floats.store(m1, n, first, at);
              Floats.store(m2, n, second, at);
              if (rounded != null) {
                Floats.store(w, n, rounded, at);
              }
            });
  }

  private static void adam(float[] w, float[] m, float[] v, float[] g, int n, AdamStep how) {
    float decay = (float) (1 - how.learningRate() * how.weightDecay());
    float beta1 = (float) how.beta1();
    float rest1 = (float) (1 - how.beta1());
    float beta2 = (float) how.beta2();
    float rest2 = (float) (1 - how.beta2());
    float step = (float) (how.learningRate() / (1 - Math.pow(how.beta1(), how.step())));
    float root = (float) (1 / Math.sqrt(1 - Math.pow(how.beta2(), how.step())));
    float eps = (float) how.eps();
    float scale = (float) how.gradientScale();
    for (int i = 0; i < n; i++) {
      float d = g[i] * scale;
      m[i] = beta1 * m[i] + rest1 * d;
      v[i] = beta2 * v[i] + rest2 * d * d;
      w[i] = w[i] * decay - step * m[i] / ((float) Math.sqrt(v[i]) * root + eps);
    }
  }

  private static void sameSize(Array a, Array b) {
    if (a.size() != b.size()) {
      throw new ShapeException("%s and %s are not of one size".formatted(a, b));
    }
  }
}
