package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Activation;
import io.moextend.backend.BackendException;
import io.moextend.backend.ElementKernels;

/** Pointwise kernels. */
interface CudaElements extends ElementKernels {
  CudaDevice cuda();

  private Launch element(String name) {
    return cuda().launch(Source.ELEMENT, name);
  }

  private static CudaArray like(Arena to, CudaArray x) {
    return (CudaArray) to.allocate(x.dtype(), x.shape());
  }

  private static String pair(String name, CudaArray a, CudaArray b) {
    return name + "_" + a.suffix() + "_" + b.suffix();
  }

  @Override
  default Array add(Arena to, Array a, Array b) {
    CudaArray first = CudaArray.number(a);
    CudaArray second = CudaArray.of(b, a.dtype());
    b.require("b", a.shape());
    CudaArray out = like(to, first);
    if (out.size() > 0) {
      element("add_" + first.suffix())
          .array(out)
          .array(first)
          .array(second)
          .size(out.size())
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array addScaled(Arena to, Array a, Array b, double s) {
    CudaArray first = CudaArray.number(a);
    CudaArray second = CudaArray.number(b);
    b.require("b", a.shape());
    CudaArray out = like(to, first);
    if (out.size() > 0) {
      element(pair("add_scaled", first, second))
          .array(out)
          .array(first)
          .array(second)
          .number(s)
          .size(out.size())
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array multiply(Arena to, Array a, Array b) {
    CudaArray first = CudaArray.number(a);
    CudaArray second = CudaArray.number(b);
    b.require("b", a.shape());
    CudaArray out = like(to, first);
    if (out.size() > 0) {
      element(pair("multiply", first, second))
          .array(out)
          .array(first)
          .array(second)
          .size(out.size())
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array scale(Arena to, Array a, double s) {
    CudaArray first = CudaArray.number(a);
    CudaArray out = like(to, first);
    if (out.size() > 0) {
      element("scale_" + first.suffix())
          .array(out)
          .array(first)
          .number(s)
          .size(out.size())
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array addRepeated(Arena to, Array x, Array rows) {
    CudaArray all = CudaArray.number(x);
    CudaArray some = CudaArray.of(rows, x.dtype());
    x.require("x", -1, rows.dim(1));
    requireGroups(x, rows.dim(0));
    CudaArray out = like(to, all);
    if (out.size() > 0) {
      element(pair("add_repeated", all, some))
          .array(out)
          .array(all)
          .array(some)
          .size(out.size())
          .size(some.size())
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array sumRepeated(Arena to, Array dOut, long period) {
    CudaArray d = CudaArray.number(dOut);
    long groups = requireGroups(dOut, period);
    var out = (CudaArray) to.allocate(DType.F32, period, dOut.dim(1));
    sums(out, d, groups);
    return out;
  }

  @Override
  default Array sumRows(Arena to, Array x) {
    CudaArray source = CudaArray.number(x);
    x.require("x", -1, -1);
    var out = (CudaArray) to.allocate(DType.F32, x.dim(1));
    sums(out, source, x.dim(0));
    return out;
  }

  private void sums(CudaArray out, CudaArray x, long rows) {
    cuda()
        .columnSums(
            Source.ELEMENT, "column_sums_" + x.suffix(), out, rows, launch -> launch.array(x));
  }

  private static long requireGroups(Array x, long period) {
    if (period < 1 || x.dim(0) % period != 0) {
      throw new ShapeException("%s does not fall into groups of %d rows".formatted(x, period));
    }
    return x.dim(0) / period;
  }

  @Override
  default Array scaleColumns(Arena to, Array x, Array scale) {
    CudaArray source = CudaArray.number(x);
    CudaArray by = CudaArray.of(scale, x.dtype());
    scale.require("scale", -1);
    x.require("x", -1, scale.size());
    CudaArray out = like(to, source);
    if (out.size() > 0) {
      element("scale_columns_" + source.suffix())
          .array(out)
          .array(source)
          .array(by)
          .size(out.size())
          .size(by.size())
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array scaleColumnsGradient(Arena to, Array dOut, Array x) {
    CudaArray source = CudaArray.number(x);
    CudaArray d = CudaArray.of(dOut, x.dtype());
    dOut.require("dOut", x.shape());
    var out = (CudaArray) to.allocate(DType.F32, x.dim(1));
    cuda()
        .columnSums(
            Source.ELEMENT,
            "column_dots_" + source.suffix(),
            out,
            x.dim(0),
            launch -> launch.array(d).array(source));
    return out;
  }

  /** How the kernels number activations. */
  private static int number(Activation kind) {
    return switch (kind) {
      case SILU -> 0;
      case GELU -> 1;
      case QUICK_GELU -> 2;
      case GELU_TANH -> 3;
      case RELU -> 4;
      case HARD_SIGMOID -> 5;
      case HARD_SWISH -> 6;
    };
  }

  @Override
  default Array activation(Arena to, Activation kind, Array x) {
    CudaArray source = CudaArray.number(x);
    CudaArray out = like(to, source);
    if (out.size() > 0) {
      element("activation_" + source.suffix())
          .array(out)
          .array(source)
          .size(out.size())
          .flag(number(kind))
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array activationBackward(Arena to, Activation kind, Array dOut, Array x) {
    CudaArray source = CudaArray.number(x);
    CudaArray d = CudaArray.of(dOut, x.dtype());
    dOut.require("dOut", x.shape());
    CudaArray out = like(to, source);
    if (out.size() > 0) {
      element("activation_backward_" + source.suffix())
          .array(out)
          .array(d)
          .array(source)
          .size(out.size())
          .flag(number(kind))
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default Array gated(Arena to, Activation kind, Array x) {
    CudaArray source = CudaArray.number(x);
    long width = halfWidth(x);
    var out = (CudaArray) to.allocate(x.dtype(), x.dim(0), width);
    if (out.size() > 0) {
      element("gated_" + source.suffix())
          .array(out)
          .array(source)
          .size(x.dim(0))
          .size(width)
          .flag(number(kind))
          .run(Grid.elements(out.size()));
    }
    return out;
  }

  @Override
  default void gatedBackwardInto(Array dX, Activation kind, Array dOut, Array x) {
    CudaArray source = CudaArray.number(x);
    CudaArray d = CudaArray.of(dOut, x.dtype());
    CudaArray out = CudaArray.of(dX, x.dtype());
    long width = halfWidth(x);
    dOut.require("dOut", x.dim(0), width);
    dX.require("dX", x.shape());
    if (out.size() > 0) {
      element("gated_backward_" + source.suffix())
          .array(out)
          .array(d)
          .array(source)
          .size(x.dim(0))
          .size(width)
          .flag(number(kind))
          .run(Grid.elements(d.size()));
    }
  }

  private static long halfWidth(Array x) {
    x.require("x", -1, -1);
    if (x.dim(1) % 2 != 0) {
      throw new ShapeException("%s has no two halves of one width".formatted(x));
    }
    return x.dim(1) / 2;
  }

  @Override
  default Array cast(Arena to, Array x, DType dtype) {
    if (!dtype.isFloating() || !x.dtype().isFloating()) {
      throw new BackendException(
          "cast of %s to %s: both must be floating types".formatted(x, dtype));
    }
    CudaArray source = CudaArray.of(x);
    var out = (CudaArray) to.allocate(dtype, x.shape());
    cuda().cast(out, source);
    return out;
  }
}
