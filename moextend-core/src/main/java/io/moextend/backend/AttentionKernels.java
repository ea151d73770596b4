package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import org.jspecify.annotations.Nullable;

/**
 * Scaled dot-product attention by blocks; no array of queries times keys is ever whole, except a
 * bias that came so.
 */
public interface AttentionKernels {
  /**
   * @param batch sequences; rows of all arrays are batch-major
   * @param queries queries of a sequence
   * @param keys keys of a sequence; where causal, query i sits at key position keys - queries + i
   * @param keyHeads heads of k and v; queryHeads is a multiple of it, and query head h reads key
   *     head h·keyHeads/queryHeads
   * @param scale what scores are multiplied by
   * @param window keys a query sees back from its own position, its own included; 0 = all
   */
  record Attention(
      int batch,
      int queries,
      int keys,
      int queryHeads,
      int keyHeads,
      int headSize,
      double scale,
      boolean causal,
      int window) {
    public Attention {
      if (keyHeads < 1 || queryHeads % keyHeads != 0) {
        throw new IllegalArgumentException(
            "queryHeads=%d is no multiple of keyHeads=%d".formatted(queryHeads, keyHeads));
      }
    }
  }

  /**
   * @param out [batch·queries, queryHeads·headSize]
   * @param logSumExp [batch, queryHeads, queries] wide
   */
  record Attended(Array out, Array logSumExp) {}

  /**
   * @param dBias null where no bias gradient was asked for
   */
  record AttentionGradients(Array dQ, Array dK, Array dV, @Nullable Array dBias) {}

  /**
   * @param q [batch·queries, queryHeads·headSize]
   * @param k [batch·keys, keyHeads·headSize]
   * @param v [batch·keys, keyHeads·headSize]
   * @param keyMask [batch, keys] U8, 0 hides a key; null = all seen
   * @param bias [queryHeads, queries, keys] wide, added to the scaled scores; null = none
   * @return a query that sees no key gets zeros
   */
  Attended attend(
      Arena to,
      Attention shape,
      Array q,
      Array k,
      Array v,
      @Nullable Array keyMask,
      @Nullable Array bias);

  /** Recomputes the scores from q, k and the saved logSumExp. */
  AttentionGradients attendBackward(
      Arena to,
      Attention shape,
      Array dOut,
      Array q,
      Array k,
      Array v,
      Attended forward,
      @Nullable Array keyMask,
      @Nullable Array bias,
      boolean wantBias);
}
