package io.moextend.backend.cuda;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import io.moextend.backend.BackendException;
import org.jspecify.annotations.Nullable;

/** What all kernels of one attention read, checked; {@link AttentionCut} says how they are cut. */
final class AttentionInputs {
  private static final int LARGEST_HEAD = 256;

  private final Attention shape;
  private final CudaArray q;
  private final CudaArray k;
  private final CudaArray v;
  private final @Nullable Sight sight;
  private final @Nullable CudaArray bias;

  AttentionInputs(
      Attention shape, CudaArray q, Array k, Array v, @Nullable Sight sight, @Nullable Array bias) {
    this.shape = shape;
    this.q = q;
    this.k = CudaArray.of(k, q.dtype());
    this.v = CudaArray.of(v, q.dtype());
    this.sight = sight;
    this.bias = bias == null ? null : CudaArray.of(bias, DType.F32);
    long queryRows = (long) shape.batch() * shape.queries();
    long keyRows = (long) shape.batch() * shape.keys();
    long keyWidth = (long) shape.keyHeads() * shape.headSize();
    q.require("q", queryRows, (long) shape.queryHeads() * shape.headSize());
    k.require("k", keyRows, keyWidth);
    v.require("v", keyRows, keyWidth);
    if (sight != null) {
      sight.require(shape);
    }
    if (bias != null) {
      bias.require("bias", shape.queryHeads(), shape.queries(), shape.keys());
    }
    if (shape.headSize() > LARGEST_HEAD) {
      throw new BackendException(
          "attention heads of %d; backend cuda takes up to %d, use --backend cpu"
              .formatted(shape.headSize(), LARGEST_HEAD));
    }
  }

  /**
   * How this attention is cut.
   *
   * @param others what its kernels read or write beside q, k and v
   */
  AttentionCut cut(CudaArray... others) {
    boolean fast = q.dtype() == DType.BF16 && AttentionCut.fits(shape.headSize());
    for (CudaArray array : new CudaArray[] {q, k, v}) {
      fast &= AttentionCut.fits(array);
    }
    for (CudaArray array : others) {
      fast &= AttentionCut.fits(array);
    }
    return new AttentionCut(shape, q.suffix(), fast);
  }

  Launch qkv(Launch launch) {
    return launch.array(q).array(k).array(v);
  }

  Launch backward(Launch launch, CudaArray dOut, CudaArray logSumExp, CudaArray along) {
    return common(qkv(launch.array(dOut)).array(logSumExp).array(along));
  }

  Launch common(Launch launch) {
    return launch
        .array(sight == null ? null : sight.keys())
        .array(sight == null ? null : sight.queries())
        .array(bias)
        .flag(shape.batch())
        .flag(shape.queries())
        .flag(shape.keys())
        .flag(shape.queryHeads())
        .flag(shape.keyHeads())
        .flag(shape.headSize())
        .number(shape.scale())
        .flag(shape.causal())
        .flag(shape.window())
        .flag(sight != null && sight.uniformWhenBlind());
  }
}
