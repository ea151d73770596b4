package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Activation;
import io.moextend.backend.ElementKernels;
import java.util.Arrays;

/** Pointwise kernels by chunks; sums over rows by stripes of columns. */
interface CpuElements extends ElementKernels {
  CpuDevice cpu();

  /** One chunk of a pointwise kernel of two inputs; may write beyond n up to a whole vector. */
  @FunctionalInterface
  interface Chunk {
    void run(float[] a, float[] b, float[] out, int n);
  }

  @Override
  default Array add(Arena to, Array a, Array b) {
    sameShape(a, b);
    CpuArray.of(b, a.dtype());
    return addScaled(to, a, b, 1);
  }

  @Override
  default Array addScaled(Arena to, Array a, Array b, double s) {
    sameShape(a, b);
    float factor = (float) s;
    return map(
        to,
        a.dtype(),
        a,
        b,
        (x, y, out, n) -> {
          for (int i = 0; i < n; i++) {
            out[i] = x[i] + factor * y[i];
          }
        });
  }

  @Override
  default Array scale(Arena to, Array a, double s) {
    float factor = (float) s;
    return map(
        to,
        a.dtype(),
        a,
        a,
        (x, same, out, n) -> {
          for (int i = 0; i < n; i++) {
            out[i] = factor * x[i];
          }
        });
  }

  @Override
  default Array activation(Arena to, Activation kind, Array x) {
    return map(to, x.dtype(), x, x, (a, same, out, n) -> Pointwise.apply(kind, a, out, n));
  }

  @Override
  default Array activationBackward(Arena to, Activation kind, Array dOut, Array x) {
    sameShape(dOut, x);
    return map(
        to,
        dOut.dtype(),
        dOut,
        x,
        (d, a, out, n) -> {
          Pointwise.derive(kind, a, out, n);
          for (int i = 0; i < n; i++) {
            out[i] *= d[i];
          }
        });
  }

  @Override
  default Array cast(Arena to, Array x, DType dtype) {
    CpuArray.of(x);
    CpuArray out = CpuDevice.allocate(to, dtype, x.shape());
    cpu().convert(CpuArray.of(x), out);
    return out;
  }

  @Override
  default Array addRepeated(Arena to, Array x, Array rows) {
    CpuArray a = CpuArray.of(x);
    CpuArray repeated = CpuArray.of(rows);
    long period = rows.dim(0);
    rows.require("rows", -1, x.dim(1));
    if (period == 0 ? x.dim(0) != 0 : x.dim(0) % period != 0) {
      throw new ShapeException("%s is no multiple of the rows %s".formatted(x, rows));
    }
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    int width = CpuDevice.count(x.dim(1));
    cpu()
        .forRows(
            x.dim(0),
            width,
            (lane, r) -> {
              float[] sum = lane.floats(0, width);
              float[] added = lane.floats(1, width);
              Floats.load(a, (long) r * width, width, sum);
              Floats.load(repeated, r % period * width, width, added);
              VectorMath.addTo(sum, 1, added, width);
              Floats.store(sum, width, out, (long) r * width);
            });
    return out;
  }

  @Override
  default Array sumRepeated(Arena to, Array dOut, long period) {
    CpuArray d = CpuArray.of(dOut);
    long width = dOut.dim(1);
    if (period <= 0 || dOut.dim(0) % period != 0) {
      throw new ShapeException("%s is no multiple of %d rows".formatted(dOut, period));
    }
    long groups = dOut.dim(0) / period;
    CpuArray out = CpuDevice.allocate(to, DType.F32, period, width);
    cpu()
        .forChunks(
            period * width,
            (lane, first, n) -> {
              float[] row = lane.floats(0, n);
              float[] sum = lane.floats(1, n);
              Arrays.fill(sum, 0, n, 0f);
              for (long g = 0; g < groups; g++) {
                Floats.load(d, g * period * width + first, n, row);
                VectorMath.addTo(sum, 1, row, n);
              }
              Floats.store(sum, n, out, first);
            });
    return out;
  }

  @Override
  default Array sumRows(Arena to, Array x) {
    CpuArray a = CpuArray.of(x);
    long width = x.dim(1);
    return cpu()
        .sumOverRows(
            to,
            x.dim(0),
            width,
            (lane, row, first, n, into) -> {
              float[] values = lane.floats(2, n);
              Floats.load(a, row * width + first, n, values);
              VectorMath.addTo(into, 1, values, n);
            });
  }

  @Override
  default Array gated(Arena to, Activation kind, Array x) {
    CpuArray a = CpuArray.of(x);
    int width = half(x);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.dim(0), width);
    forGates(
        x.dim(0),
        width,
        (lane, row, column, n) -> {
          float[] gate = lane.floats(0, n);
          float[] up = lane.floats(1, n);
          float[] result = lane.floats(2, n);
          Floats.load(a, row * 2 * width + column, n, gate);
          Floats.load(a, row * 2 * width + width + column, n, up);
          Pointwise.apply(kind, gate, result, n);
          VectorMath.multiply(result, up, n);
          Floats.store(result, n, out, row * width + column);
        });
    return out;
  }

  @Override
  default Array gatedBackward(Arena to, Activation kind, Array dOut, Array x) {
    CpuArray a = CpuArray.of(x);
    CpuArray d = CpuArray.of(dOut);
    int width = half(x);
    dOut.require("dOut", x.dim(0), width);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    forGates(
        x.dim(0),
        width,
        (lane, row, column, n) -> {
          float[] gate = lane.floats(0, n);
          float[] up = lane.floats(1, n);
          float[] outer = lane.floats(2, n);
          float[] result = lane.floats(3, n);
          long first = row * 2 * width + column;
          Floats.load(a, first, n, gate);
          Floats.load(a, first + width, n, up);
          Floats.load(d, row * width + column, n, outer);
          Pointwise.derive(kind, gate, result, n);
          VectorMath.multiply(result, up, n);
          VectorMath.multiply(result, outer, n);
          Floats.store(result, n, out, first);
          Pointwise.apply(kind, gate, result, n);
          VectorMath.multiply(result, outer, n);
          Floats.store(result, n, out, first + width);
        });
    return out;
  }

  /** Work on columns of one row. */
  @FunctionalInterface
  interface GateTask {
    void run(Lane lane, long row, long column, int n);
  }

  private void forGates(long rows, int width, GateTask task) {
    cpu()
        .forRows(
            rows,
            2L * width,
            (lane, row) -> {
              for (int column = 0; column < width; column += CpuDevice.CHUNK) {
                task.run(lane, row, column, Math.min(CpuDevice.CHUNK, width - column));
              }
            });
  }

  private Array map(Arena to, DType dtype, Array a, Array b, Chunk kernel) {
    CpuArray left = CpuArray.of(a);
    CpuArray right = CpuArray.of(b);
    CpuArray out = CpuDevice.allocate(to, dtype, a.shape());
    cpu()
        .forChunks(
            a.size(),
            (lane, first, n) -> {
              float[] x = lane.floats(0, n);
              Floats.load(left, first, n, x);
              float[] y = x;
              if (right != left) {
                y = lane.floats(1, n);
                Floats.load(right, first, n, y);
              }
              float[] result = lane.floats(2, n);
              kernel.run(x, y, result, n);
              Floats.store(result, n, out, first);
            });
    return out;
  }

  private static int half(Array x) {
    if (x.rank() != 2 || x.dim(1) % 2 != 0) {
      throw new ShapeException(x + " has no two halves side by side");
    }
    return CpuDevice.count(x.dim(1) / 2);
  }

  private static void sameShape(Array a, Array b) {
    b.require("b", a.shape());
  }
}
