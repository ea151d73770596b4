package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.NormKernels;

/** Norms, a row at a time. With x̂ the normed row and g = dOut·weight. */
interface CpuNorms extends NormKernels {
  CpuDevice cpu();

  @Override
  default Normed rmsNorm(Arena to, Array x, Array weight, double eps) {
    CpuArray a = CpuArray.of(x);
    int width = width(x, weight);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    CpuArray inverse = CpuDevice.allocate(to, DType.F32, x.dim(0));
    try (var w = new WideRow(cpu(), CpuArray.of(weight), a)) {
      forRows(
          a,
          out,
          (row, result, r) -> {
            float inv = (float) (1 / Math.sqrt((double) row.dot(row, width) / width + eps));
            NormLoops.scale(
                row.address(), inv, w.address(), result.address(), result.width(), width);
            inverse.setFloat(r, inv);
          });
    }
    return new Normed(out, inverse, inverse);
  }

  /** dX = inverse · (g - x̂ mean(g x̂)). */
  @Override
  default Array rmsNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    return backward(to, dOut, x, weight, forward, false);
  }

  @Override
  default Array rmsNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    return weightGradient(to, dOut, x, forward, false);
  }

  @Override
  default Normed layerNorm(Arena to, Array x, Array weight, Array bias, double eps) {
    CpuArray a = CpuArray.of(x);
    int width = width(x, weight);
    width(x, bias);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    CpuArray inverse = CpuDevice.allocate(to, DType.F32, x.dim(0));
    CpuArray mean = CpuDevice.allocate(to, DType.F32, x.dim(0));
    try (var w = new WideRow(cpu(), CpuArray.of(weight), a);
        var b = new WideRow(cpu(), CpuArray.of(bias), a)) {
      forRows(
          a,
          out,
          (row, result, r) -> {
            long from = row.address();
            float mu = NormLoops.sum(from, row.width(), width) / width;
            row.pad(width, mu);
            float squares = NormLoops.squares(from, mu, row.width(), width);
            float inv = (float) (1 / Math.sqrt((double) squares / width + eps));
            NormLoops.shift(
                from, mu, inv, w.address(), b.address(), result.address(), result.width(), width);
            inverse.setFloat(r, inv);
            mean.setFloat(r, mu);
          });
    }
    return new Normed(out, inverse, mean);
  }

  /** dX = inverse · (g - mean(g) - x̂ mean(g x̂)). */
  @Override
  default Array layerNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    return backward(to, dOut, x, weight, forward, true);
  }

  @Override
  default Array layerNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    return weightGradient(to, dOut, x, forward, true);
  }

  private Array backward(
      Arena to, Array dOut, Array x, Array weight, Normed forward, boolean centred) {
    CpuArray d = CpuArray.of(dOut, x.dtype());
    CpuArray a = CpuArray.of(x);
    CpuArray inverse = CpuArray.of(forward.inverse(), DType.F32);
    CpuArray mean = CpuArray.of(forward.mean(), DType.F32);
    int width = width(x, weight);
    dOut.require("dOut", x.shape());
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    try (var w = new WideRow(cpu(), CpuArray.of(weight), a)) {
      cpu()
          .forRows(
              x.dim(0),
              width,
              (lane, r) -> {
                long first = (long) r * width;
                Operand outer = Operand.in(lane, 0, d, first, width);
                Operand row = Operand.in(lane, 1, a, first, width);
                Operand result = Operand.out(lane, 2, out, first, width);
                float inv = inverse.floatAt(r);
                float mu = centred ? mean.floatAt(r) : 0;
                long g = outer.address();
                float offset =
                    centred ? NormLoops.offset(g, w.address(), outer.width(), width) / width : 0;
                float slope =
                    NormLoops.slope(g, row.address(), mu, w.address(), row.width(), width);
                var same = new NormLoops.Row(mu, inv, offset, slope / width * inv * inv);
                NormLoops.gradient(
                    g, row.address(), w.address(), same, result.address(), row.width(), width);
                result.finish(lane, out, first, width);
              });
    }
    return out;
  }

  private Array weightGradient(Arena to, Array dOut, Array x, Normed forward, boolean centred) {
    CpuArray d = CpuArray.of(dOut, x.dtype());
    CpuArray a = CpuArray.of(x);
    CpuArray inverse = CpuArray.of(forward.inverse(), DType.F32);
    CpuArray mean = CpuArray.of(forward.mean(), DType.F32);
    dOut.require("dOut", x.shape());
    int width = CpuDevice.count(x.dim(1));
    return new RowSum(cpu(), x.dim(0), width)
        .runLike(
            to,
            a,
            (lane, first, rows, into) -> {
              for (long row = first; row < first + rows; row++) {
                Operand g = Operand.in(lane, 0, d, row * width, width);
                Operand values = Operand.in(lane, 1, a, row * width, width);
                float mu = centred ? mean.floatAt(row) : 0;
                float inv = inverse.floatAt(row);
                NormLoops.addWeight(into, g.address(), values.address(), mu, inv, g.width(), width);
              }
            });
  }

  /** A row to be read and where its result goes. */
  @FunctionalInterface
  interface RowKernel {
    void run(Operand row, Operand result, int r);
  }

  private void forRows(CpuArray x, CpuArray out, RowKernel kernel) {
    int width = CpuDevice.count(x.dim(1));
    cpu()
        .forRows(
            x.dim(0),
            width,
            (lane, r) -> {
              Operand row = Operand.in(lane, 0, x, (long) r * width, width);
              Operand result = Operand.out(lane, 1, out, (long) r * width, width);
              kernel.run(row, result, r);
              result.finish(lane, out, (long) r * width, width);
            });
  }

  private static int width(Array x, Array weight) {
    x.require("x", -1, -1);
    weight.require("weight", x.dim(1));
    return CpuDevice.count(x.dim(1));
  }
}
