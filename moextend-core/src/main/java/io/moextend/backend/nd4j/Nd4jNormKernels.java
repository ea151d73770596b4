package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.NormKernels;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/** RMS and layer norm, composed of ND4J's reductions and row and column products. */
interface Nd4jNormKernels extends NormKernels {
  @Override
  default Normed rmsNorm(Arena to, Array x, Array weight, double eps) {
    requireRows(x, weight);
    Array out = to.allocate(x.dtype(), x.shape());
    Array inverse = to.allocate(x.dtype().wide(), x.dim(0));
    if (x.size() > 0) {
      INDArray in = Nd4jArray.number(x);
      inverseRoot(in, Nd4jArray.of(inverse), eps);
      Nd4jArray.of(out)
          .assign(in)
          .muliColumnVector(Nd4jArray.of(inverse))
          .muliRowVector(Nd4jArray.of(weight));
    }
    return new Normed(out, inverse, inverse);
  }

  @Override
  default Array rmsNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    requireRows(x, weight);
    requireLike(dOut, x);
    Array dX = to.allocate(x.dtype(), x.shape());
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray unit =
            t.copy(Nd4jArray.number(x)).muliColumnVector(Nd4jArray.of(forward.inverse()));
        dUnit(t, dX, dOut, weight, unit).muliColumnVector(Nd4jArray.of(forward.inverse()));
      }
    }
    return dX;
  }

  @Override
  default Array rmsNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    requireLike(dOut, x);
    Array dWeight = zeros(to, x.dtype().wide(), x.dim(1));
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray unit =
            t.copy(Nd4jArray.number(x)).muliColumnVector(Nd4jArray.of(forward.inverse()));
        unit.muli(Nd4jArray.of(dOut)).sum(Nd4jArray.of(dWeight), 0);
      }
    }
    return dWeight;
  }

  @Override
  default Normed layerNorm(Arena to, Array x, Array weight, Array bias, double eps) {
    requireRows(x, weight);
    requireRows(x, bias);
    Array out = to.allocate(x.dtype(), x.shape());
    Array inverse = to.allocate(x.dtype().wide(), x.dim(0));
    Array mean = to.allocate(x.dtype().wide(), x.dim(0));
    if (x.size() > 0) {
      INDArray in = Nd4jArray.number(x);
      INDArray centred = Nd4jArray.of(out);
      in.mean(Nd4jArray.of(mean), 1);
      centred.assign(in).subiColumnVector(Nd4jArray.of(mean));
      inverseRoot(centred, Nd4jArray.of(inverse), eps);
      centred
          .muliColumnVector(Nd4jArray.of(inverse))
          .muliRowVector(Nd4jArray.of(weight))
          .addiRowVector(Nd4jArray.of(bias));
    }
    return new Normed(out, inverse, mean);
  }

  @Override
  default Array layerNormBackward(Arena to, Array dOut, Array x, Array weight, Normed forward) {
    requireRows(x, weight);
    requireLike(dOut, x);
    Array dX = to.allocate(x.dtype(), x.shape());
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray gradient = dUnit(t, dX, dOut, weight, unit(t, x, forward));
        // the mean is subtracted in the forward pass, so the gradient's mean falls out too
        INDArray through = t.copy(Nd4jArray.of(dOut)).muliRowVector(Nd4jArray.of(weight));
        gradient
            .subiColumnVector(t.keep(through.mean(1)))
            .muliColumnVector(Nd4jArray.of(forward.inverse()));
      }
    }
    return dX;
  }

  @Override
  default Array layerNormWeightGradient(Arena to, Array dOut, Array x, Normed forward) {
    requireLike(dOut, x);
    Array dWeight = zeros(to, x.dtype().wide(), x.dim(1));
    if (x.size() > 0) {
      try (var t = new Temporaries()) {
        unit(t, x, forward).muli(Nd4jArray.of(dOut)).sum(Nd4jArray.of(dWeight), 0);
      }
    }
    return dWeight;
  }

  /** (x - mean) · inverse. */
  private static INDArray unit(Temporaries t, Array x, Normed forward) {
    return t.copy(Nd4jArray.number(x))
        .subiColumnVector(Nd4jArray.of(forward.mean()))
        .muliColumnVector(Nd4jArray.of(forward.inverse()));
  }

  /** dX = g - u mean(g u) with g = dOut · weight and u the normed rows; u is overwritten. */
  private static INDArray dUnit(Temporaries t, Array dX, Array dOut, Array weight, INDArray unit) {
    INDArray gradient =
        Nd4jArray.of(dX).assign(Nd4jArray.of(dOut)).muliRowVector(Nd4jArray.of(weight));
    INDArray along = t.keep(t.keep(gradient.mul(unit)).mean(1));
    return gradient.subi(unit.muliColumnVector(along));
  }

  private static void inverseRoot(INDArray rows, INDArray inverse, double eps) {
    try (var t = new Temporaries()) {
      t.keep(rows.mul(rows)).mean(inverse, 1);
      Transforms.sqrt(inverse.addi(eps), false).rdivi(1.0);
    }
  }

  private static Array zeros(Arena to, DType dtype, long size) {
    Array zeros = to.allocate(dtype, size);
    if (size > 0) {
      Nd4jArray.of(zeros).assign(0);
    }
    return zeros;
  }

  private static void requireRows(Array x, Array weight) {
    x.require("x", -1, weight.dim(0));
    weight.require("weight", -1);
    SameType.require("weight", weight, x.dtype());
  }

  private static void requireLike(Array dOut, Array x) {
    dOut.require("dOut", x.shape());
    SameType.require("dOut", dOut, x.dtype());
  }
}
