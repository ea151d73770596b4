package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Activation;
import io.moextend.backend.ElementKernels;
import io.moextend.backend.Rounding;
import java.util.function.IntToDoubleFunction;

interface PlainElementKernels extends ElementKernels {
  private static Array each(Arena to, DType dtype, long[] shape, IntToDoubleFunction value) {
    PlainArray out = PlainArray.of(to.allocate(dtype, shape));
    for (int i = 0; i < out.size(); i++) {
      out.set(i, value.applyAsDouble(i));
    }
    return out;
  }

  private static PlainArray of(Array array) {
    return PlainArray.of(array);
  }

  @Override
  default Array add(Arena to, Array a, Array b) {
    return each(to, a.dtype(), a.shape(), i -> of(a).get(i) + of(b).get(i));
  }

  @Override
  default Array addScaled(Arena to, Array a, Array b, double s) {
    return each(to, a.dtype(), a.shape(), i -> of(a).get(i) + s * of(b).get(i));
  }

  @Override
  default Array multiply(Arena to, Array a, Array b) {
    return each(to, a.dtype(), a.shape(), i -> of(a).get(i) * of(b).get(i));
  }

  @Override
  default Array scale(Arena to, Array a, double s) {
    return each(to, a.dtype(), a.shape(), i -> s * of(a).get(i));
  }

  @Override
  default Array addRepeated(Arena to, Array x, Array rows) {
    int group = (int) rows.size();
    return each(to, x.dtype(), x.shape(), i -> of(x).get(i) + of(rows).get(i % group));
  }

  @Override
  default Array sumRepeated(Arena to, Array dOut, long period) {
    long[] shape = {period, dOut.dim(1)};
    int group = (int) Array.sizeOf(shape);
    return each(
        to,
        dOut.dtype(),
        shape,
        i -> {
          double sum = 0;
          for (int j = i; j < dOut.size(); j += group) {
            sum += of(dOut).get(j);
          }
          return sum;
        });
  }

  @Override
  default Array scaleColumns(Arena to, Array x, Array scale) {
    int width = (int) scale.size();
    return each(to, x.dtype(), x.shape(), i -> of(x).get(i) * of(scale).get(i % width));
  }

  @Override
  default Array scaleColumnsGradient(Arena to, Array dOut, Array x) {
    return sumRows(to, each(to, x.dtype(), x.shape(), i -> of(dOut).get(i) * of(x).get(i)));
  }

  @Override
  default Array sumRows(Arena to, Array x) {
    return sumRepeated(to, x, 1).reshape(x.dim(1));
  }

  @Override
  default Array activation(Arena to, Activation kind, Array x) {
    return each(to, x.dtype(), x.shape(), i -> PlainFunctions.value(kind, of(x).get(i)));
  }

  @Override
  default Array activationBackward(Arena to, Activation kind, Array dOut, Array x) {
    return each(
        to, x.dtype(), x.shape(), i -> of(dOut).get(i) * PlainFunctions.slope(kind, of(x).get(i)));
  }

  @Override
  default Array gated(Arena to, Activation kind, Array x) {
    int width = (int) x.dim(1) / 2;
    return each(
        to,
        x.dtype(),
        new long[] {x.dim(0), width},
        i -> {
          int row = i / width;
          int column = i % width;
          return PlainFunctions.value(kind, of(x).get(row, column))
              * of(x).get(row, width + column);
        });
  }

  @Override
  default void gatedBackwardInto(Array dX, Activation kind, Array dOut, Array x) {
    throw new UnsupportedOperationException("plain loops make new arrays");
  }

  @Override
  default Array gatedBackward(Arena to, Activation kind, Array dOut, Array x) {
    int width = (int) x.dim(1) / 2;
    return each(
        to,
        x.dtype(),
        x.shape(),
        i -> {
          int row = i / (2 * width);
          int column = i % width;
          double gate = of(x).get(row, column);
          double d = of(dOut).get(row, column);
          return i % (2 * width) < width
              ? d * PlainFunctions.slope(kind, gate) * of(x).get(row, width + column)
              : d * PlainFunctions.value(kind, gate);
        });
  }

  @Override
  default Array cast(Arena to, Array x, DType dtype) {
    return each(to, dtype, x.shape(), i -> Rounding.to(dtype, of(x).get(i)));
  }
}
