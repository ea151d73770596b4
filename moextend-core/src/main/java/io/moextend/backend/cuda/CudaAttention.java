package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels;
import org.jspecify.annotations.Nullable;

/** Attention by blocks; the backward pass computes the scores again. */
interface CudaAttention extends AttentionKernels {
  CudaDevice cuda();

  private Launch attention(AttentionCut cut, String stem) {
    return cuda().launch(cut.source(), cut.kernel(stem));
  }

  /** A kernel that there is in one way only. */
  private Launch plain(String stem, CudaArray of) {
    return cuda().launch(Source.ATTENTION, stem + "_" + of.suffix());
  }

  @Override
  default Attended attend(
      Arena to,
      Attention shape,
      Array q,
      Array k,
      Array v,
      @Nullable Sight sight,
      @Nullable Array bias) {
    var inputs = new AttentionInputs(shape, CudaArray.number(q), k, v, sight, bias);
    var out = (CudaArray) to.allocate(q.dtype(), q.shape());
    var sums =
        (CudaArray) to.allocate(DType.F32, shape.batch(), shape.queryHeads(), shape.queries());
    if (out.size() > 0 && k.size() > 0) {
      AttentionCut cut = inputs.cut(out);
      Launch launch = attention(cut, "attention").array(out).array(sums);
      inputs.common(inputs.qkv(launch)).run(cut.forward());
    } else {
      cuda().clear(out);
      cuda().clear(sums);
    }
    return new Attended(out, sums);
  }

  @Override
  default AttentionGradients attendBackward(
      Arena to,
      Attention shape,
      Array dOut,
      Array q,
      Array k,
      Array v,
      Attended forward,
      @Nullable Sight sight,
      @Nullable Array bias,
      boolean wantBias) {
    var inputs = new AttentionInputs(shape, CudaArray.number(q), k, v, sight, bias);
    CudaArray d = CudaArray.of(dOut, q.dtype());
    dOut.require("dOut", q.shape());
    CudaArray out = CudaArray.of(forward.out(), q.dtype());
    CudaArray sums = CudaArray.of(forward.logSumExp(), DType.F32);
    var dQ = (CudaArray) to.allocate(q.dtype(), q.shape());
    var dK = (CudaArray) to.allocate(q.dtype(), k.shape());
    var dV = (CudaArray) to.allocate(q.dtype(), v.shape());
    CudaArray dBias = null;
    if (wantBias) {
      dBias = (CudaArray) to.allocate(DType.F32, shape.queryHeads(), shape.queries(), shape.keys());
    }
    var gradients = new AttentionGradients(dQ, dK, dV, dBias);
    if (dQ.size() == 0 || dK.size() == 0) {
      clear(gradients);
      return gradients;
    }
    AttentionCut cut = inputs.cut(d, dQ, dK, dV);
    try (var scratch = cuda().scratch(DType.F32, sums.shape())) {
      CudaArray along = scratch.array();
      plain("attention_dots", out)
          .array(along)
          .array(d)
          .array(out)
          .flag(shape.batch())
          .flag(shape.queries())
          .flag(shape.queryHeads())
          .flag(shape.headSize())
          .run(Grid.warps(along.size()));
      Launch byQuery = attention(cut, "attention_backward_q").array(dQ);
      inputs.backward(byQuery, d, sums, along).run(cut.backwardQ());
      Launch byKey = attention(cut, "attention_backward_kv").array(dK).array(dV);
      inputs.backward(byKey, d, sums, along).run(cut.backwardKv());
      if (dBias != null) {
        Launch byBias = plain("attention_backward_bias", out).array(dBias);
        inputs.backward(byBias, d, sums, along).run(cut.backwardBias());
      }
    }
    return gradients;
  }

  private void clear(AttentionGradients gradients) {
    cuda().clear((CudaArray) gradients.dQ());
    cuda().clear((CudaArray) gradients.dK());
    cuda().clear((CudaArray) gradients.dV());
    Array dBias = gradients.dBias();
    if (dBias != null) {
      cuda().clear((CudaArray) dBias);
    }
  }
}
