package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.AttentionGradients;
import io.moextend.backend.AttentionKernels.Sight;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * softmax(scale · q kᵀ + bias) v for each head, masked. Scores are never whole; backward recomputes
 * them from the saved log of their sums.
 *
 * @see <a href="https://arxiv.org/abs/2307.08691">FlashAttention-2</a>, algorithms 1 and 2
 */
public final class Attend {
  private Attend() {}

  /**
   * @param q [batch·queries, queryHeads·headSize]
   * @param k [batch·keys, keyHeads·headSize]
   * @param v as k
   * @param sight null = all seen that the shape lets be seen
   * @param bias [queryHeads, queries, keys] wide, or null
   * @return as q
   */
  public static Tensor apply(
      Tape tape,
      Attention shape,
      Tensor q,
      Tensor k,
      Tensor v,
      @Nullable Sight sight,
      @Nullable Tensor bias) {
    Array biasData = bias == null ? null : bias.data();
    Attended attended =
        tape.backend().attend(tape.arena(), shape, q.data(), k.data(), v.data(), sight, biasData);
    var inputs = new ArrayList<Tensor>(List.of(q, k, v));
    var saved =
        new ArrayList<Array>(
            List.of(q.data(), k.data(), v.data(), attended.out(), attended.logSumExp()));
    if (sight != null) {
      saved.add(sight.keys());
      if (sight.queries() != null) {
        saved.add(sight.queries());
      }
    }
    if (bias != null) {
      inputs.add(bias);
      saved.add(bias.data());
    }
    boolean wantBias = bias != null && bias.requiresGrad();
    return tape.record(
        "attend",
        attended.out(),
        inputs,
        saved,
        dY -> {
          AttentionGradients d =
              tape.backend()
                  .attendBackward(
                      tape.arena(),
                      shape,
                      dY,
                      q.data(),
                      k.data(),
                      v.data(),
                      attended,
                      sight,
                      biasData,
                      wantBias);
          return bias == null
              ? List.of(d.dQ(), d.dK(), d.dV())
              : Arrays.asList(d.dQ(), d.dK(), d.dV(), d.dBias());
        });
  }
}
