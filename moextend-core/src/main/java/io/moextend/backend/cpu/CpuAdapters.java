package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.AdapterKernels;

/** Kernels of adapters. */
interface CpuAdapters extends AdapterKernels {
  CpuDevice cpu();

  @Override
  default Array rescale(Arena to, Array x, Array p, Array scaling) {
    try (var rescaling = new Rescaling(cpu(), to, x, p, scaling)) {
      return rescaling.of(CpuArray.of(x));
    }
  }

  @Override
  default RescaleGradients rescaleBackward(Arena to, Array dOut, Array x, Array p, Array scaling) {
    dOut.require("dOut", x.shape());
    try (var rescaling = new Rescaling(cpu(), to, x, p, scaling)) {
      return rescaling.backward(CpuArray.of(dOut, x.dtype()));
    }
  }

  @Override
  default Array scaleBlocks(Arena to, Array h, Array p) {
    CpuArray a = CpuArray.of(h);
    CpuArray shares = CpuArray.of(p, DType.F32);
    int block = block(h, p);
    int width = CpuDevice.count(h.dim(1));
    CpuArray out = CpuDevice.allocate(to, h.dtype(), h.shape());
    cpu()
        .forRows(
            h.dim(0),
            width,
            (lane, r) -> {
              float[] row = lane.floats(1, width);
              Floats.load(a, (long) r * width, width, row);
              scale(row, shares, (long) r * (width / block), width, block);
              Floats.store(row, width, out, (long) r * width);
            });
    return out;
  }

  private static void scale(float[] row, CpuArray shares, long first, int width, int block) {
    for (int from = 0; from < width; from += block) {
      float share = shares.floatAt(first + from / block);
      for (int i = from; i < from + block; i++) {
        row[i] *= share;
      }
    }
  }

  @Override
  default BlockGradients scaleBlocksBackward(Arena to, Array dOut, Array h, Array p) {
    CpuArray d = CpuArray.of(dOut, h.dtype());
    CpuArray a = CpuArray.of(h);
    CpuArray shares = CpuArray.of(p, DType.F32);
    dOut.require("dOut", h.shape());
    int block = block(h, p);
    int width = CpuDevice.count(h.dim(1));
    CpuArray dH = CpuDevice.allocate(to, h.dtype(), h.shape());
    CpuArray dP = CpuDevice.allocate(to, DType.F32, p.shape());
    cpu()
        .forRows(
            h.dim(0),
            2L * width,
            (lane, r) -> {
              float[] outer = lane.floats(1, width);
              float[] row = lane.floats(2, width);
              Floats.load(d, (long) r * width, width, outer);
              Floats.load(a, (long) r * width, width, row);
              long first = (long) r * (width / block);
              for (int from = 0; from < width; from += block) {
                float sum = 0;
                for (int i = from; i < from + block; i++) {
                  sum += outer[i] * row[i];
                }
                dP.setFloat(first + from / block, sum);
              }
              scale(outer, shares, first, width, block);
              Floats.store(outer, width, dH, (long) r * width);
            });
    return new BlockGradients(dH, dP);
  }

  private static int block(Array h, Array p) {
    h.require("h", p.dim(0), -1);
    p.require("p", -1, -1);
    if (p.dim(1) == 0 || h.dim(1) == 0 || h.dim(1) % p.dim(1) != 0) {
      throw new ShapeException(
          "the columns of %s do not fall into %d blocks".formatted(h, p.dim(1)));
    }
    return CpuDevice.count(h.dim(1) / p.dim(1));
  }

  @Override
  default void addColumnsInto(Array y, long from, Array delta) {
    CpuArray sum = CpuArray.into(y);
    CpuArray d = CpuArray.of(delta, y.dtype());
    delta.require("delta", y.dim(0), -1);
    long width = y.dim(1);
    int columns = CpuDevice.count(delta.dim(1));
    if (from < 0 || from + columns > width) {
      throw new ShapeException("%s has no columns %d to %d".formatted(y, from, from + columns));
    }
    cpu()
        .forRows(
            y.dim(0),
            columns,
            (lane, r) -> {
              int n;
              for (int column = 0; column < columns; column += n) {
                n = Operand.span(columns - column);
                long at = r * width + from + column;
                Operand a = Operand.in(lane, 0, sum, at, n);
                Operand b = Operand.in(lane, 1, d, (long) r * columns + column, n);
                Operand result = Operand.out(lane, 2, sum, at, n);
                PointwiseLoops.addScaled(
                    a.address(), b.address(), 1, result.address(), result.width(), n);
                result.finish(lane, sum, at, n);
              }
            });
  }
}
