package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Activation;
import io.moextend.backend.BackendException;
import io.moextend.backend.ElementKernels;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Pointwise kernels; casts are the one thing that BF16 and F16 arrays can take part in. */
interface Nd4jElementKernels extends ElementKernels {
  @Override
  default Array add(Arena to, Array a, Array b) {
    b.require("b", a.shape());
    SameType.require("b", b, a.dtype());
    Array out = to.allocate(a.dtype(), a.shape());
    if (a.size() > 0) {
      Nd4jArray.of(out).assign(Nd4jArray.number(a)).addi(Nd4jArray.number(b));
    }
    return out;
  }

  @Override
  default Array addScaled(Arena to, Array a, Array b, double s) {
    b.require("b", a.shape());
    Array out = to.allocate(a.dtype(), a.shape());
    if (a.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray first = Nd4jArray.number(a);
        INDArray scaled = Nd4jArray.of(out).assign(t.cast(b, first.dataType())).muli(s);
        scaled.addi(first);
      }
    }
    return out;
  }

  @Override
  default Array multiply(Arena to, Array a, Array b) {
    b.require("b", a.shape());
    Array out = to.allocate(a.dtype(), a.shape());
    if (a.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray first = Nd4jArray.number(a);
        Nd4jArray.of(out).assign(t.cast(b, first.dataType())).muli(first);
      }
    }
    return out;
  }

  @Override
  default Array scale(Arena to, Array a, double s) {
    Array out = to.allocate(a.dtype(), a.shape());
    if (a.size() > 0) {
      Nd4jArray.of(out).assign(Nd4jArray.number(a)).muli(s);
    }
    return out;
  }

  @Override
  default Array addRepeated(Arena to, Array x, Array rows) {
    x.require("x", -1, rows.dim(1));
    SameType.require("rows", rows, x.dtype());
    long groups = groups(x, rows.dim(0));
    Array out = to.allocate(x.dtype(), x.shape());
    if (x.size() > 0) {
      Nd4jArray.of(out).assign(Nd4jArray.number(x));
      Nd4jArray.of(out.reshape(groups, rows.size()))
          .addiRowVector(Nd4jArray.of(rows.reshape(rows.size())));
    }
    return out;
  }

  @Override
  default Array sumRepeated(Arena to, Array dOut, long period) {
    long groups = groups(dOut, period);
    Array out = to.allocate(dOut.dtype().wide(), period, dOut.dim(1));
    sumInto(out.reshape(out.size()), dOut.reshape(groups, out.size()));
    return out;
  }

  @Override
  default Array scaleColumns(Arena to, Array x, Array scale) {
    x.require("x", -1, scale.size());
    scale.require("scale", -1);
    SameType.require("scale", scale, x.dtype());
    Array out = to.allocate(x.dtype(), x.shape());
    if (x.size() > 0) {
      Nd4jArray.of(out).assign(Nd4jArray.number(x)).muliRowVector(Nd4jArray.of(scale));
    }
    return out;
  }

  @Override
  default Array scaleColumnsGradient(Arena to, Array dOut, Array x) {
    dOut.require("dOut", x.shape());
    SameType.require("dOut", dOut, x.dtype());
    Array out = to.allocate(x.dtype().wide(), x.dim(1));
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        t.copy(Nd4jArray.number(x)).muli(Nd4jArray.of(dOut)).sum(Nd4jArray.of(out), 0);
      }
    } else if (out.size() > 0) {
      Nd4jArray.of(out).assign(0);
    }
    return out;
  }

  @Override
  default Array sumRows(Arena to, Array x) {
    x.require("x", -1, -1);
    Array out = to.allocate(x.dtype().wide(), x.dim(1));
    sumInto(out, x);
    return out;
  }

  private static void sumInto(Array out, Array rows) {
    if (rows.size() > 0) {
      Nd4jArray.number(rows).sum(Nd4jArray.of(out), 0);
    } else if (out.size() > 0) {
      Nd4jArray.of(out).assign(0);
    }
  }

  private static long groups(Array x, long period) {
    if (period < 1 || x.dim(0) % period != 0) {
      throw new ShapeException("%s does not fall into groups of %d rows".formatted(x, period));
    }
    return x.dim(0) / period;
  }

  @Override
  default Array activation(Arena to, Activation kind, Array x) {
    Array out = to.allocate(x.dtype(), x.shape());
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        Nd4jArray.of(out).assign(Activations.value(t, kind, Nd4jArray.number(x)));
      }
    }
    return out;
  }

  @Override
  default Array activationBackward(Arena to, Activation kind, Array dOut, Array x) {
    dOut.require("dOut", x.shape());
    SameType.require("dOut", dOut, x.dtype());
    Array dX = to.allocate(x.dtype(), x.shape());
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        Nd4jArray.of(dX)
            .assign(Activations.slope(t, kind, Nd4jArray.number(x)))
            .muli(Nd4jArray.of(dOut));
      }
    }
    return dX;
  }

  @Override
  default Array gated(Arena to, Activation kind, Array x) {
    long width = halfWidth(x);
    Array out = to.allocate(x.dtype(), x.dim(0), width);
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray gate = t.copy(half(x, 0));
        INDArray up = t.copy(half(x, width));
        Nd4jArray.of(out).assign(Activations.value(t, kind, gate)).muli(up);
      }
    }
    return out;
  }

  @Override
  default void gatedBackwardInto(Array dX, Activation kind, Array dOut, Array x) {
    long width = halfWidth(x);
    dOut.require("dOut", x.dim(0), width);
    dX.require("dX", x.shape());
    SameType.require("dOut", dOut, x.dtype());
    SameType.require("dX", dX, x.dtype());
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray gate = t.copy(half(x, 0));
        INDArray up = t.copy(half(x, width)); // arithmetic on columns is several times slower
        INDArray d = Nd4jArray.of(dOut);
        half(dX, 0).assign(Activations.slope(t, kind, gate).muli(d).muli(up));
        half(dX, width).assign(Activations.value(t, kind, gate).muli(d));
      }
    }
  }

  private static long halfWidth(Array x) {
    x.require("x", -1, -1);
    if (x.dim(1) % 2 != 0) {
      throw new ShapeException("%s has no two halves of one width".formatted(x));
    }
    return x.dim(1) / 2;
  }

  private static INDArray half(Array x, long from) {
    return Nd4jArray.number(x)
        .get(NDArrayIndex.all(), NDArrayIndex.interval(from, from + x.dim(1) / 2));
  }

  @Override
  default Array cast(Arena to, Array x, DType dtype) {
    if (!dtype.isFloating() || !x.dtype().isFloating()) {
      throw new BackendException(
          "cast of %s to %s: both must be floating types".formatted(x, dtype));
    }
    Array out = to.allocate(dtype, x.shape());
    if (x.size() > 0) {
      Rounded.assign(Nd4jArray.of(out), Nd4jArray.of(x));
    }
    return out;
  }
}
