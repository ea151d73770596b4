package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.ShapeException;
import io.moextend.backend.AdapterKernels;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Mixtures of vectors, an expert at a time. */
interface Nd4jAdapterKernels extends AdapterKernels {
  @Override
  default Array rescale(Arena to, Array x, Array p, Array scaling) {
    requireMixture(x, p, scaling);
    Array out = to.allocate(x.dtype(), x.shape());
    if (out.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray sum = Nd4jArray.of(heads(out, scaling));
        sum.assign(mixture(t, p, scaling)).muli(Nd4jArray.number(heads(x, scaling)));
      }
    }
    return out;
  }

  @Override
  default RescaleGradients rescaleBackward(Arena to, Array dOut, Array x, Array p, Array scaling) {
    requireMixture(x, p, scaling);
    dOut.require("dOut", x.shape());
    SameType.require("dOut", dOut, x.dtype());
    Array dX = to.allocate(x.dtype(), x.shape());
    Array dP = to.allocate(p.dtype(), p.shape());
    Array dScaling = to.allocate(scaling.dtype().wide(), scaling.shape());
    if (x.size() == 0) {
      if (dScaling.size() > 0) {
        Nd4jArray.of(dScaling).assign(0);
      }
      return new RescaleGradients(dX, dP, dScaling);
    }
    try (var t = new Temporaries()) {
      INDArray d = Nd4jArray.number(heads(dOut, scaling));
      Nd4jArray.of(heads(dX, scaling)).assign(mixture(t, p, scaling)).muli(d);
      INDArray both = t.keep(d.mul(Nd4jArray.number(heads(x, scaling))));
      for (int e = 0; e < scaling.dim(1); e++) {
        INDArray byVector = t.keep(both.mul(vector(t, scaling, e)));
        share(shares(dP, scaling), e).assign(t.keep(byVector.sum(true, 2)));
        INDArray byShare = t.keep(both.mul(t.copy(share(shares(p, scaling), e))));
        Nd4jArray.of(dScaling)
            .get(NDArrayIndex.all(), NDArrayIndex.point(e), NDArrayIndex.all())
            .assign(t.keep(byShare.sum(0)));
      }
    }
    return new RescaleGradients(dX, dP, dScaling);
  }

  /** Σ_e p_e·scaling_e, [R, H, K]. */
  private static INDArray mixture(Temporaries t, Array p, Array scaling) {
    long rows = p.dim(0) / scaling.dim(0);
    INDArray sum = t.zeros(Nd4jArray.type(scaling.dtype()), rows, scaling.dim(0), scaling.dim(2));
    for (int e = 0; e < scaling.dim(1); e++) {
      INDArray share = t.copy(share(shares(p, scaling), e));
      sum.addi(t.keep(share.mul(vector(t, scaling, e))));
    }
    return sum;
  }

  /** [1, H, K]. */
  private static INDArray vector(Temporaries t, Array scaling, int expert) {
    return t.copy(
            Nd4jArray.number(scaling)
                .get(NDArrayIndex.all(), NDArrayIndex.point(expert), NDArrayIndex.all()))
        .reshape(1, scaling.dim(0), scaling.dim(2));
  }

  /** [R, H, 1]. */
  private static INDArray share(INDArray shares, int expert) {
    return shares.get(
        NDArrayIndex.all(), NDArrayIndex.all(), NDArrayIndex.interval(expert, expert + 1));
  }

  private static INDArray shares(Array p, Array scaling) {
    return Nd4jArray.number(p.reshape(p.dim(0) / scaling.dim(0), scaling.dim(0), scaling.dim(1)));
  }

  private static Array heads(Array x, Array scaling) {
    return x.reshape(x.dim(0), scaling.dim(0), scaling.dim(2));
  }

  private static void requireMixture(Array x, Array p, Array scaling) {
    scaling.require("scaling", -1, -1, -1);
    x.require("x", -1, scaling.dim(0) * scaling.dim(2));
    p.require("p", x.dim(0) * scaling.dim(0), scaling.dim(1));
    SameType.require("scaling", scaling, x.dtype());
    SameType.require("p", p, x.dtype().wide());
    Nd4jArray.own(x);
    Nd4jArray.own(p);
    Nd4jArray.own(scaling);
  }

  @Override
  default Array scaleBlocks(Arena to, Array h, Array p) {
    requireBlocks(h, p);
    Array out = to.allocate(h.dtype(), h.shape());
    if (out.size() > 0) {
      INDArray blocks = Nd4jArray.of(blocks(out, p)).assign(Nd4jArray.number(blocks(h, p)));
      blocks.muli(Nd4jArray.number(p.reshape(p.dim(0), p.dim(1), 1)));
    }
    return out;
  }

  @Override
  default BlockGradients scaleBlocksBackward(Arena to, Array dOut, Array h, Array p) {
    requireBlocks(h, p);
    dOut.require("dOut", h.shape());
    SameType.require("dOut", dOut, h.dtype());
    Array dP = to.allocate(p.dtype(), p.shape());
    Array dH = scaleBlocks(to, dOut, p);
    if (h.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray both =
            t.keep(Nd4jArray.number(blocks(dOut, p)).mul(Nd4jArray.number(blocks(h, p))));
        Nd4jArray.of(dP).assign(t.keep(both.sum(2)));
      }
    }
    return new BlockGradients(dH, dP);
  }

  private static Array blocks(Array h, Array p) {
    return h.reshape(p.dim(0), p.dim(1), h.dim(1) / p.dim(1));
  }

  private static void requireBlocks(Array h, Array p) {
    h.require("h", p.dim(0), -1);
    p.require("p", -1, -1);
    SameType.require("p", p, h.dtype().wide());
    if (p.dim(1) == 0 || h.dim(1) == 0 || h.dim(1) % p.dim(1) != 0) {
      throw new ShapeException(
          "the columns of %s do not fall into %d blocks".formatted(h, p.dim(1)));
    }
  }

  @Override
  default void addColumnsInto(Array y, long from, Array delta) {
    delta.require("delta", y.dim(0), -1);
    SameType.require("delta", delta, y.dtype());
    long until = from + delta.dim(1);
    if (from < 0 || until > y.dim(1)) {
      throw new ShapeException("%s has no columns %d to %d".formatted(y, from, until));
    }
    if (delta.size() > 0) {
      Nd4jArray.writable(y)
          .get(NDArrayIndex.all(), NDArrayIndex.interval(from, until))
          .addi(Nd4jArray.number(delta));
    }
  }
}
