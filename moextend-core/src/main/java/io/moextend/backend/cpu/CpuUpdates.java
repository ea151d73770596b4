package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.UpdateKernels;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Kernels that write in place, by chunks. */
interface CpuUpdates extends UpdateKernels {
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
              float[] a = lane.floats(0, n);
              float[] b = lane.floats(1, n);
              Floats.load(sum, first, n, a);
              Floats.load(source, first, n, b);
              VectorMath.addTo(a, factor, b, n);
              Floats.store(a, n, sum, first);
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
    var sums = new double[blocks];
    cpu()
        .forRows(
            blocks,
            block,
            (lane, i) -> {
              float[] buffer = lane.floats(0, CpuDevice.CHUNK);
              long end = Math.min(x.size(), (i + 1L) * block);
              double sum = 0;
              for (long first = (long) i * block; first < end; first += CpuDevice.CHUNK) {
                int n = (int) Math.min(CpuDevice.CHUNK, end - first);
                Floats.load(a, first, n, buffer);
                sum += squares(buffer, n);
              }
              sums[i] = sum;
            });
    double total = 0;
    for (double sum : sums) {
      total += sum;
    }
    CpuArray out = CpuDevice.allocate(to, DType.F64, 1);
    CpuArray.ALL.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, out.address(), total);
    return out;
  }

  /** Four sums side by side, so that an addition need not wait for the one before. */
  private static double squares(float[] x, int n) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    for (int i = 0; i < n; i += 4) { // what pads the last vector is 0
      a += (double) x[i] * x[i];
      b += (double) x[i + 1] * x[i + 1];
      c += (double) x[i + 2] * x[i + 2];
      d += (double) x[i + 3] * x[i + 3];
    }
    return a + b + (c + d);
  }

  @Override
  default void adamInto(Array master, Array m, Array v, Array gradient, AdamStep how) {
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
