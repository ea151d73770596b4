package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.AdapterKernels;

interface PlainAdapterKernels extends AdapterKernels {
  private static PlainArray of(Array array) {
    return PlainArray.of(array);
  }

  private static PlainArray like(Arena to, Array array) {
    PlainArray zeros = of(to.allocate(array.dtype(), array.shape()));
    for (int i = 0; i < zeros.size(); i++) {
      zeros.set(i, 0);
    }
    return zeros;
  }

  /** One number of a mixture: of which row's which head, at which place in it. */
  @FunctionalInterface
  interface Visit {
    void at(int x, int p, int scaling);
  }

  private static void each(Array x, Array scaling, Visit visit) {
    int heads = (int) scaling.dim(0);
    int experts = (int) scaling.dim(1);
    int size = (int) scaling.dim(2);
    for (int r = 0; r < x.dim(0); r++) {
      for (int h = 0; h < heads; h++) {
        for (int e = 0; e < experts; e++) {
          for (int k = 0; k < size; k++) {
            visit.at(
                (r * heads + h) * size + k,
                (r * heads + h) * experts + e,
                (h * experts + e) * size + k);
          }
        }
      }
    }
  }

  private static void add(PlainArray to, int i, double value) {
    to.set(i, to.get(i) + value);
  }

  @Override
  default Array rescale(Arena to, Array x, Array p, Array scaling) {
    PlainArray out = like(to, x);
    each(
        x,
        scaling,
        (i, share, at) -> add(out, i, of(x).get(i) * of(p).get(share) * of(scaling).get(at)));
    return out;
  }

  @Override
  default RescaleGradients rescaleBackward(Arena to, Array dOut, Array x, Array p, Array scaling) {
    PlainArray dX = like(to, x);
    PlainArray dP = like(to, p);
    PlainArray dScaling = like(to, scaling);
    each(
        x,
        scaling,
        (i, share, at) -> {
          double d = of(dOut).get(i);
          add(dX, i, d * of(p).get(share) * of(scaling).get(at));
          add(dP, share, d * of(x).get(i) * of(scaling).get(at));
          add(dScaling, at, d * of(x).get(i) * of(p).get(share));
        });
    return new RescaleGradients(dX, dP, dScaling);
  }

  @Override
  default Array scaleBlocks(Arena to, Array h, Array p) {
    PlainArray out = like(to, h);
    int block = (int) (h.dim(1) / p.dim(1));
    for (int i = 0; i < h.size(); i++) {
      out.set(i, of(h).get(i) * of(p).get(i / block));
    }
    return out;
  }

  @Override
  default BlockGradients scaleBlocksBackward(Arena to, Array dOut, Array h, Array p) {
    PlainArray dH = like(to, h);
    PlainArray dP = like(to, p);
    int block = (int) (h.dim(1) / p.dim(1));
    for (int i = 0; i < h.size(); i++) {
      dH.set(i, of(dOut).get(i) * of(p).get(i / block));
      add(dP, i / block, of(dOut).get(i) * of(h).get(i));
    }
    return new BlockGradients(dH, dP);
  }

  @Override
  default void addColumnsInto(Array y, long from, Array delta) {
    for (int r = 0; r < delta.dim(0); r++) {
      for (int c = 0; c < delta.dim(1); c++) {
        of(y).add(r, (int) from + c, of(delta).get(r, c));
      }
    }
  }
}
