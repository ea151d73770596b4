package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.AdapterKernels;

/** What adapters do beside products. */
interface CudaAdapters extends AdapterKernels {
  CudaDevice cuda();

  private Launch adapter(String name, CudaArray x) {
    return cuda().launch(Source.ADAPTER, name + "_" + x.suffix());
  }

  /** Sizes of a rescaling, once its arrays were found to fit. */
  record Heads(long rows, int heads, int experts, long size) {
    static Heads of(Array x, Array p, Array scaling) {
      scaling.require("scaling", -1, -1, -1);
      long heads = scaling.dim(0);
      x.require("x", -1, heads * scaling.dim(2));
      p.require("p", x.dim(0) * heads, scaling.dim(1));
      return new Heads(
          x.dim(0), Math.toIntExact(heads), Math.toIntExact(scaling.dim(1)), scaling.dim(2));
    }

    Launch in(Launch launch) {
      return launch.size(rows).flag(heads).flag(experts).size(size);
    }
  }

  @Override
  default Array rescale(Arena to, Array x, Array p, Array scaling) {
    CudaArray source = CudaArray.number(x);
    CudaArray vectors = CudaArray.of(scaling, x.dtype());
    CudaArray shares = CudaArray.of(p, DType.F32);
    Heads heads = Heads.of(x, p, scaling);
    var out = (CudaArray) to.allocate(x.dtype(), x.shape());
    rescale(out, source, shares, vectors, heads);
    return out;
  }

  private void rescale(CudaArray out, CudaArray x, CudaArray p, CudaArray scaling, Heads heads) {
    if (out.size() > 0) {
      heads
          .in(adapter("rescale", x).array(out).array(x).array(p).array(scaling))
          .run(Grid.elements(out.size()));
    }
  }

  @Override
  default RescaleGradients rescaleBackward(Arena to, Array dOut, Array x, Array p, Array scaling) {
    CudaArray source = CudaArray.number(x);
    CudaArray d = CudaArray.of(dOut, x.dtype());
    CudaArray vectors = CudaArray.of(scaling, x.dtype());
    CudaArray shares = CudaArray.of(p, DType.F32);
    dOut.require("dOut", x.shape());
    Heads heads = Heads.of(x, p, scaling);
    var dX = (CudaArray) to.allocate(x.dtype(), x.shape());
    var dP = (CudaArray) to.allocate(DType.F32, p.shape());
    var dScaling = (CudaArray) to.allocate(DType.F32, scaling.shape());
    rescale(dX, d, shares, vectors, heads);
    if (dX.size() == 0) {
      cuda().clear(dP);
      cuda().clear(dScaling);
      return new RescaleGradients(dX, dP, dScaling);
    }
    if (dP.size() > 0) {
      heads
          .in(adapter("rescale_weights", d).array(dP).array(d).array(source).array(vectors))
          .run(Grid.warps(heads.rows() * heads.heads()));
    }
    cuda()
        .columnSums(
            (partial, rows, columns, each) ->
                heads
                    .in(
                        adapter("rescale_scaling", d)
                            .array(partial)
                            .array(d)
                            .array(source)
                            .array(shares))
                    .size(each),
            dScaling,
            heads.rows());
    return new RescaleGradients(dX, dP, dScaling);
  }

  private static long block(Array h, Array p) {
    h.require("h", p.dim(0), -1);
    p.require("p", -1, -1);
    if (p.dim(1) == 0 || h.dim(1) % p.dim(1) != 0) {
      throw new ShapeException("%s has no %d blocks of one width".formatted(h, p.dim(1)));
    }
    return h.dim(1) / p.dim(1);
  }

  @Override
  default Array scaleBlocks(Arena to, Array h, Array p) {
    CudaArray source = CudaArray.number(h);
    CudaArray shares = CudaArray.of(p, DType.F32);
    long block = block(h, p);
    var out = (CudaArray) to.allocate(h.dtype(), h.shape());
    scaleBlocks(out, source, shares, block);
    return out;
  }

  private void scaleBlocks(CudaArray out, CudaArray h, CudaArray p, long block) {
    if (out.size() > 0) {
      adapter("scale_blocks", h)
          .array(out)
          .array(h)
          .array(p)
          .size(out.size())
          .size(block)
          .run(Grid.elements(out.size()));
    }
  }

  @Override
  default BlockGradients scaleBlocksBackward(Arena to, Array dOut, Array h, Array p) {
    CudaArray source = CudaArray.number(h);
    CudaArray d = CudaArray.of(dOut, h.dtype());
    CudaArray shares = CudaArray.of(p, DType.F32);
    dOut.require("dOut", h.shape());
    long block = block(h, p);
    var dH = (CudaArray) to.allocate(h.dtype(), h.shape());
    var dP = (CudaArray) to.allocate(DType.F32, p.shape());
    scaleBlocks(dH, d, shares, block);
    if (dH.size() > 0) {
      adapter("scale_blocks_weights", d)
          .array(dP)
          .array(d)
          .array(source)
          .size(dP.size())
          .size(block)
          .run(Grid.warps(dP.size()));
    } else {
      cuda().clear(dP);
    }
    return new BlockGradients(dH, dP);
  }

  @Override
  default void addColumnsInto(Array y, long from, Array delta) {
    CudaArray target = CudaArray.number(y);
    CudaArray added = CudaArray.of(delta, y.dtype());
    y.require("y", -1, -1);
    delta.require("delta", y.dim(0), -1);
    if (from < 0 || from + delta.dim(1) > y.dim(1)) {
      throw new ShapeException("%s has no %d columns from %d on".formatted(y, delta.dim(1), from));
    }
    if (added.size() > 0) {
      adapter("add_columns", target)
          .array(target)
          .size(y.dim(1))
          .size(from)
          .array(added)
          .size(delta.dim(0))
          .size(delta.dim(1))
          .run(Grid.rows(delta.dim(0)));
    }
  }
}
