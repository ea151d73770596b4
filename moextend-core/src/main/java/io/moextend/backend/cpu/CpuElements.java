package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Activation;
import io.moextend.backend.ElementKernels;

/** Pointwise kernels by chunks; sums over rows by stripes of columns. */
interface CpuElements extends ElementKernels {
  CpuDevice cpu();

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
        a,
        b,
        (lane, x, y, out, n) ->
            PointwiseLoops.addScaled(
                x.address(), y.address(), factor, out.address(), out.width(), n));
  }

  @Override
  default Array multiply(Arena to, Array a, Array b) {
    sameShape(a, b);
    return map(
        to,
        a,
        b,
        (lane, x, y, out, n) ->
            PointwiseLoops.product(x.address(), y.address(), out.address(), out.width(), n));
  }

  @Override
  default Array scale(Arena to, Array a, double s) {
    float factor = (float) s;
    return map(
        to,
        a,
        a,
        (lane, x, same, out, n) ->
            PointwiseLoops.scale(x.address(), factor, out.address(), out.width(), n));
  }

  @Override
  default Array activation(Arena to, Activation kind, Array x) {
    return map(to, x, x, (lane, a, same, out, n) -> Pointwise.activate(lane, kind, a, out, n));
  }

  @Override
  default Array activationBackward(Arena to, Activation kind, Array dOut, Array x) {
    sameShape(dOut, x);
    return map(to, dOut, x, (lane, d, a, out, n) -> Pointwise.derive(lane, kind, d, a, out, n));
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
    CpuArray repeated = CpuArray.of(rows, x.dtype());
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
              Operand left = Operand.in(lane, 0, a, (long) r * width, width);
              Operand right = Operand.in(lane, 1, repeated, r % period * width, width);
              Operand sum = Operand.out(lane, 2, out, (long) r * width, width);
              PointwiseLoops.addScaled(
                  left.address(), right.address(), 1, sum.address(), sum.width(), width);
              sum.finish(lane, out, (long) r * width, width);
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
    int groups = CpuDevice.count(dOut.dim(0) / period);
    CpuArray out = CpuDevice.allocate(to, DType.F32, period, width);
    cpu()
        .forChunks(
            period * width,
            (lane, first, n) -> {
              Operand sum = Operand.out(lane, 0, out, first, n);
              Bytes.clear(sum.address(), 4L * Floats.padded(n));
              sum.addRows(lane, 1, d, first, period * width, groups, n);
              sum.finish(lane, out, first, n);
            });
    return out;
  }

  @Override
  default Array scaleColumns(Arena to, Array x, Array scale) {
    CpuArray a = CpuArray.of(x);
    x.require("x", -1, scale.size());
    scale.require("scale", -1);
    int width = CpuDevice.count(x.dim(1));
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    try (var w = new WideRow(cpu(), CpuArray.of(scale, x.dtype()), a)) {
      cpu()
          .forRows(
              x.dim(0),
              width,
              (lane, r) -> {
                long first = (long) r * width;
                Operand row = Operand.in(lane, 0, a, first, width);
                Operand result = Operand.out(lane, 1, out, first, width);
                NormLoops.scale(
                    row.address(), 1, w.address(), result.address(), result.width(), width);
                result.finish(lane, out, first, width);
              });
    }
    return out;
  }

  @Override
  default Array scaleColumnsGradient(Arena to, Array dOut, Array x) {
    CpuArray d = CpuArray.of(dOut, x.dtype());
    CpuArray a = CpuArray.of(x);
    sameShape(dOut, x);
    int width = CpuDevice.count(x.dim(1));
    return new RowSum(cpu(), x.dim(0), width)
        .runLike(
            to,
            a,
            (lane, first, rows, into) -> {
              for (long r = first; r < first + rows; r++) {
                Operand outer = Operand.in(lane, 0, d, r * width, width);
                Operand row = Operand.in(lane, 1, a, r * width, width);
                NormLoops.addWeight(into, outer.address(), row.address(), 0, 1, row.width(), width);
              }
            });
  }

  @Override
  default Array sumRows(Arena to, Array x) {
    CpuArray a = CpuArray.of(x);
    int width = CpuDevice.count(x.dim(1));
    return new RowSum(cpu(), x.dim(0), width)
        .run(
            to,
            (lane, first, rows, into) ->
                new Operand(into, Vectors.F32)
                    .addRows(lane, 0, a, first * width, width, rows, width));
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
          long first = row * 2 * width + column;
          if (column == 0 && a.dtype() == DType.BF16) {
            PairLoops.touch(a.address(first), 2L * width * Vectors.BF16);
          }
          Operand gate = Operand.in(lane, 0, a, first, n);
          Operand up = Operand.in(lane, 1, a, first + width, n);
          Operand result = Operand.out(lane, 2, out, row * width + column, n);
          Pointwise.gate(lane, kind, gate, up, result, n);
          result.finish(lane, out, row * width + column, n);
        });
    return out;
  }

  @Override
  default void gatedBackwardInto(Array dX, Activation kind, Array dOut, Array x) {
    CpuArray a = CpuArray.of(x);
    CpuArray d = CpuArray.of(dOut, x.dtype());
    CpuArray out = CpuArray.of(dX, x.dtype());
    int width = half(x);
    sameShape(dX, x);
    dOut.require("dOut", x.dim(0), width);
    forGates(
        x.dim(0),
        width,
        (lane, row, column, n) -> {
          long first = row * 2 * width + column;
          Operand gate = Operand.in(lane, 0, a, first, n);
          Operand up = Operand.in(lane, 1, a, first + width, n);
          Operand outer = Operand.in(lane, 2, d, row * width + column, n);
          Operand left = Operand.out(lane, 3, out, first, n);
          Operand right = Operand.out(lane, 4, out, first + width, n);
          Pointwise.gates(lane, kind, outer, gate, up, left, right, n);
          left.finish(lane, out, first, n);
          right.finish(lane, out, first + width, n);
        });
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
              int n;
              for (int column = 0; column < width; column += n) {
                n = Operand.span(width - column);
                task.run(lane, row, column, n);
              }
            });
  }

  /** One chunk of a pointwise kernel of two inputs. */
  @FunctionalInterface
  interface Chunk {
    void run(Lane lane, Operand a, Operand b, Operand out, int n);
  }

  /** A result of the first input's type and shape. */
  private Array map(Arena to, Array a, Array b, Chunk kernel) {
    CpuArray left = CpuArray.of(a);
    CpuArray right = CpuArray.of(b);
    CpuArray out = CpuDevice.allocate(to, a.dtype(), a.shape());
    cpu()
        .forChunks(
            a.size(),
            (lane, first, n) -> {
              Operand x = Operand.in(lane, 0, left, first, n);
              Operand y = right == left ? x : Operand.in(lane, 1, right, first, n);
              Operand result = Operand.out(lane, 2, out, first, n);
              if (x.width() == y.width() && x.width() == result.width()) {
                kernel.run(lane, x, y, result, n);
              } else {
                Operand written = result.wideOut(lane, 3, n);
                kernel.run(lane, x.wide(lane, 4, n), y.wide(lane, 5, n), written, n);
                result.take(written, n);
              }
              result.finish(lane, out, first, n);
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
