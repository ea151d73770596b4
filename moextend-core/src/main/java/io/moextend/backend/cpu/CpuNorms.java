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
    CpuArray w = CpuArray.of(weight);
    int width = width(x, weight);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    CpuArray inverse = CpuDevice.allocate(to, DType.F32, x.dim(0));
    cpu()
        .forRows(
            x.dim(0),
            width,
            (lane, r) -> {
              float[] row = lane.floats(0, width);
              float[] scale = lane.floats(1, width);
              Floats.load(a, (long) r * width, width, row);
              Floats.load(w, 0, width, scale);
              double mean = (double) VectorMath.dot(row, row, width) / width;
              float inv = (float) (1 / Math.sqrt(mean + eps));
              for (int i = 0; i < width; i++) {
                row[i] = row[i] * inv * scale[i];
              }
              inverse.setFloat(r, inv);
              Floats.store(row, width, out, (long) r * width);
            });
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
    CpuArray w = CpuArray.of(weight);
    CpuArray b = CpuArray.of(bias);
    int width = width(x, weight);
    width(x, bias);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    CpuArray inverse = CpuDevice.allocate(to, DType.F32, x.dim(0));
    CpuArray mean = CpuDevice.allocate(to, DType.F32, x.dim(0));
    cpu()
        .forRows(
            x.dim(0),
            width,
            (lane, r) -> {
              float[] row = lane.floats(0, width);
              float[] scale = lane.floats(1, width);
              float[] shift = lane.floats(2, width);
              Floats.load(a, (long) r * width, width, row);
              Floats.load(w, 0, width, scale);
              Floats.load(b, 0, width, shift);
              float mu = VectorMath.sum(row, width) / width;
              for (int i = 0; i < width; i++) {
                row[i] -= mu;
              }
              double variance = (double) VectorMath.dot(row, row, width) / width;
              float inv = (float) (1 / Math.sqrt(variance + eps));
              for (int i = 0; i < width; i++) {
                row[i] = row[i] * inv * scale[i] + shift[i];
              }
              inverse.setFloat(r, inv);
              mean.setFloat(r, mu);
              Floats.store(row, width, out, (long) r * width);
            });
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
    CpuArray d = CpuArray.of(dOut);
    CpuArray a = CpuArray.of(x);
    CpuArray w = CpuArray.of(weight);
    CpuArray inverse = CpuArray.of(forward.inverse(), DType.F32);
    CpuArray mean = CpuArray.of(forward.mean(), DType.F32);
    int width = width(x, weight);
    dOut.require("dOut", x.shape());
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    cpu()
        .forRows(
            x.dim(0),
            width,
            (lane, r) -> {
              float[] g = lane.floats(0, width);
              float[] normed = lane.floats(1, width);
              float[] scale = lane.floats(2, width);
              Floats.load(d, (long) r * width, width, g);
              Floats.load(a, (long) r * width, width, normed);
              Floats.load(w, 0, width, scale);
              VectorMath.multiply(g, scale, width);
              float inv = inverse.floatAt(r);
              normalise(normed, inv, centred ? mean.floatAt(r) : 0, width);
              float offset = centred ? VectorMath.sum(g, width) / width : 0;
              float slope = VectorMath.dot(g, normed, width) / width;
              for (int i = 0; i < width; i++) {
                g[i] = inv * (g[i] - offset - normed[i] * slope);
              }
              Floats.store(g, width, out, (long) r * width);
            });
    return out;
  }

  private Array weightGradient(Arena to, Array dOut, Array x, Normed forward, boolean centred) {
    CpuArray d = CpuArray.of(dOut);
    CpuArray a = CpuArray.of(x);
    CpuArray inverse = CpuArray.of(forward.inverse(), DType.F32);
    CpuArray mean = CpuArray.of(forward.mean(), DType.F32);
    dOut.require("dOut", x.shape());
    long width = x.dim(1);
    return cpu()
        .sumOverRows(
            to,
            x.dim(0),
            width,
            (lane, row, first, n, into) -> {
              float[] g = lane.floats(2, n);
              float[] normed = lane.floats(3, n);
              Floats.load(d, row * width + first, n, g);
              Floats.load(a, row * width + first, n, normed);
              normalise(normed, inverse.floatAt(row), centred ? mean.floatAt(row) : 0, n);
              for (int i = 0; i < n; i++) {
                into[i] += g[i] * normed[i];
              }
            });
  }

  private static void normalise(float[] x, float inverse, float mean, int n) {
    for (int i = 0; i < n; i++) {
      x[i] = (x[i] - mean) * inverse;
    }
  }

  private static int width(Array x, Array weight) {
    x.require("x", -1, -1);
    weight.require("weight", x.dim(1));
    return CpuDevice.count(x.dim(1));
  }
}
