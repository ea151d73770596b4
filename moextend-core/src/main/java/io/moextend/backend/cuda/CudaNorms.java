package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.NormKernels;

/** Normalisations, a block for each row. */
interface CudaNorms extends NormKernels {
  CudaDevice cuda();

  private Launch norm(String name, CudaArray x) {
    return cuda().launch(Source.NORM, name + "_" + x.suffix());
  }

  private static CudaArray rows(Array x) {
    CudaArray source = CudaArray.number(x);
    x.require("x", -1, -1);
    return source;
  }

  private static CudaArray vector(String name, Array weight, Array x) {
    weight.require(name, x.dim(1));
    return CudaArray.of(weight, x.dtype());
  }

  @Override
  default Normed rmsNorm(Arena to, Array x, Array weight, double eps) {
    CudaArray source = rows(x);
    CudaArray w = vector("weight", weight, x);
    var out = (CudaArray) to.allocate(x.dtype(), x.shape());
    var inverse = (CudaArray) to.allocate(DType.F32, x.dim(0));
    if (out.size() > 0) {
      norm("rms_norm", source)
          .array(out)
          .array(inverse)
          .array(source)
          .array(w)
          .size(x.dim(0))
          .size(x.dim(1))
          .number(eps)
          .run(Grid.rows(x.dim(0)));
    }
    return new Normed(out, inverse, inverse);
  }

  @Override
  default Array rmsNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    CudaArray source = rows(x);
    CudaArray d = gradient(dOut, x);
    CudaArray w = vector("weight", weight, x);
    var out = (CudaArray) to.allocate(x.dtype(), x.shape());
    if (out.size() > 0) {
      norm("rms_norm_backward", source)
          .array(out)
          .array(d)
          .array(source)
          .array(w)
          .array(forward.inverse())
          .size(x.dim(0))
          .size(x.dim(1))
          .run(Grid.rows(x.dim(0)));
    }
    return out;
  }

  @Override
  default Array rmsNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    CudaArray source = rows(x);
    CudaArray d = gradient(dOut, x);
    var out = (CudaArray) to.allocate(DType.F32, x.dim(1));
    cuda()
        .columnSums(
            Source.NORM,
            "rms_norm_weight_" + source.suffix(),
            out,
            x.dim(0),
            launch -> launch.array(d).array(source).array(forward.inverse()));
    return out;
  }

  @Override
  default Normed layerNorm(Arena to, Array x, Array weight, Array bias, double eps) {
    CudaArray source = rows(x);
    CudaArray w = vector("weight", weight, x);
    CudaArray b = vector("bias", bias, x);
    var out = (CudaArray) to.allocate(x.dtype(), x.shape());
    var inverse = (CudaArray) to.allocate(DType.F32, x.dim(0));
    var mean = (CudaArray) to.allocate(DType.F32, x.dim(0));
    if (out.size() > 0) {
      norm("layer_norm", source)
          .array(out)
          .array(inverse)
          .array(mean)
          .array(source)
          .array(w)
          .array(b)
          .size(x.dim(0))
          .size(x.dim(1))
          .number(eps)
          .run(Grid.rows(x.dim(0)));
    }
    return new Normed(out, inverse, mean);
  }

  @Override
  default Array layerNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    CudaArray source = rows(x);
    CudaArray d = gradient(dOut, x);
    CudaArray w = vector("weight", weight, x);
    var out = (CudaArray) to.allocate(x.dtype(), x.shape());
    if (out.size() > 0) {
      norm("layer_norm_backward", source)
          .array(out)
          .array(d)
          .array(source)
          .array(w)
          .array(forward.inverse())
          .array(forward.mean())
          .size(x.dim(0))
          .size(x.dim(1))
          .run(Grid.rows(x.dim(0)));
    }
    return out;
  }

  @Override
  default Array layerNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    CudaArray source = rows(x);
    CudaArray d = gradient(dOut, x);
    var out = (CudaArray) to.allocate(DType.F32, x.dim(1));
    cuda()
        .columnSums(
            Source.NORM,
            "layer_norm_weight_" + source.suffix(),
            out,
            x.dim(0),
            launch -> launch.array(d).array(source).array(forward.inverse()).array(forward.mean()));
    return out;
  }

  private static CudaArray gradient(Array dOut, Array x) {
    dOut.require("dOut", x.shape());
    return CudaArray.of(dOut, x.dtype());
  }
}
