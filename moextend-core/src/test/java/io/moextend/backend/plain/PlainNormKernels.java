package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.NormKernels;

interface PlainNormKernels extends NormKernels {
  @Override
  default Normed rmsNorm(Arena to, Array x, Array weight, double eps) {
    PlainArray in = PlainArray.of(x);
    PlainArray w = PlainArray.of(weight);
    PlainArray out = PlainArray.of(to.allocate(x.dtype(), x.shape()));
    PlainArray inverse = PlainArray.of(to.allocate(x.dtype(), in.rows()));
    for (int r = 0; r < in.rows(); r++) {
      double squares = 0;
      for (int c = 0; c < in.width(); c++) {
        squares += in.get(r, c) * in.get(r, c);
      }
      inverse.set(r, 1 / Math.sqrt(squares / in.width() + eps));
      for (int c = 0; c < in.width(); c++) {
        out.set(r, c, in.get(r, c) * inverse.get(r) * w.get(c));
      }
    }
    return new Normed(out, inverse, inverse);
  }

  /** dx_c = s w_c d_c - s³ x_c / H · Σ_j d_j w_j x_j with s the inverse root. */
  @Override
  default Array rmsNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    PlainArray in = PlainArray.of(x);
    PlainArray d = PlainArray.of(dOut);
    PlainArray w = PlainArray.of(weight);
    PlainArray dX = PlainArray.of(to.allocate(x.dtype(), x.shape()));
    for (int r = 0; r < in.rows(); r++) {
      double s = PlainArray.of(forward.inverse()).get(r);
      double along = 0;
      for (int c = 0; c < in.width(); c++) {
        along += d.get(r, c) * w.get(c) * in.get(r, c);
      }
      for (int c = 0; c < in.width(); c++) {
        dX.set(r, c, s * w.get(c) * d.get(r, c) - s * s * s * in.get(r, c) * along / in.width());
      }
    }
    return dX;
  }

  @Override
  default Array rmsNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    PlainArray in = PlainArray.of(x);
    PlainArray dWeight = PlainArray.of(to.allocate(x.dtype(), x.dim(1)));
    for (int c = 0; c < x.dim(1); c++) {
      double sum = 0;
      for (int r = 0; r < in.rows(); r++) {
        sum +=
            PlainArray.of(dOut).get(r, c) * in.get(r, c) * PlainArray.of(forward.inverse()).get(r);
      }
      dWeight.set(c, sum);
    }
    return dWeight;
  }

  @Override
  default Normed layerNorm(Arena to, Array x, Array weight, Array bias, double eps) {
    PlainArray in = PlainArray.of(x);
    PlainArray out = PlainArray.of(to.allocate(x.dtype(), x.shape()));
    PlainArray inverse = PlainArray.of(to.allocate(x.dtype(), in.rows()));
    PlainArray mean = PlainArray.of(to.allocate(x.dtype(), in.rows()));
    for (int r = 0; r < in.rows(); r++) {
      double sum = 0;
      for (int c = 0; c < in.width(); c++) {
        sum += in.get(r, c);
      }
      mean.set(r, sum / in.width());
      double squares = 0;
      for (int c = 0; c < in.width(); c++) {
        squares += Math.pow(in.get(r, c) - mean.get(r), 2);
      }
      inverse.set(r, 1 / Math.sqrt(squares / in.width() + eps));
      for (int c = 0; c < in.width(); c++) {
        double unit = (in.get(r, c) - mean.get(r)) * inverse.get(r);
        out.set(r, c, unit * PlainArray.of(weight).get(c) + PlainArray.of(bias).get(c));
      }
    }
    return new Normed(out, inverse, mean);
  }

  /** With u the normed row and g = d w: dx_c = s (g_c - mean(g) - u_c mean(g u)). */
  @Override
  default Array layerNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    PlainArray in = PlainArray.of(x);
    PlainArray dX = PlainArray.of(to.allocate(x.dtype(), x.shape()));
    for (int r = 0; r < in.rows(); r++) {
      double sum = 0;
      double along = 0;
      for (int c = 0; c < in.width(); c++) {
        double g = PlainArray.of(dOut).get(r, c) * PlainArray.of(weight).get(c);
        sum += g;
        along += g * unit(in, forward, r, c);
      }
      double s = PlainArray.of(forward.inverse()).get(r);
      for (int c = 0; c < in.width(); c++) {
        double g = PlainArray.of(dOut).get(r, c) * PlainArray.of(weight).get(c);
        double off = sum / in.width() + unit(in, forward, r, c) * along / in.width();
        dX.set(r, c, s * (g - off));
      }
    }
    return dX;
  }

  @Override
  default Array layerNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    PlainArray in = PlainArray.of(x);
    PlainArray dWeight = PlainArray.of(to.allocate(x.dtype(), x.dim(1)));
    for (int c = 0; c < x.dim(1); c++) {
      double sum = 0;
      for (int r = 0; r < in.rows(); r++) {
        sum += PlainArray.of(dOut).get(r, c) * unit(in, forward, r, c);
      }
      dWeight.set(c, sum);
    }
    return dWeight;
  }

  private static double unit(PlainArray in, Normed forward, int r, int c) {
    double mean = PlainArray.of(forward.mean()).get(r);
    return (in.get(r, c) - mean) * PlainArray.of(forward.inverse()).get(r);
  }
}
