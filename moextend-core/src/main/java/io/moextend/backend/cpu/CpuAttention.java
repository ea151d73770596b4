package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels;
import org.jspecify.annotations.Nullable;

/**
 * Attention by blocks of queries and keys with a running softmax.
 *
 * @see <a href="https://arxiv.org/abs/2307.08691">FlashAttention-2</a>, algorithms 1 and 2
 */
interface CpuAttention extends AttentionKernels {
  CpuDevice cpu();

  @Override
  default Attended attend(
      Arena to,
      Attention shape,
      Array q,
      Array k,
      Array v,
      @Nullable Sight sight,
      @Nullable Array bias) {
    var inputs = new AttentionInputs(shape, q, k, v, sight, bias);
    return OneQuery.fits(inputs)
        ? new OneQuery(cpu(), inputs).run(to)
        : new AttentionForward(cpu(), inputs).run(to);
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
    var inputs = new AttentionInputs(shape, q, k, v, sight, bias);
    return new AttentionBackward(cpu(), inputs, dOut, forward).run(to, wantBias);
  }
}
