package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
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
   * Which keys are seen, beside what the shape says.
   *
   * @param keys [batch, keys] U8, 0 hides a key from all
   * @param queries [batch, queries] U8; a query sees keys of its own number alone, and with 0 none.
   *     null = it sees every key that is not hidden
   * @param uniformWhenBlind what a query that sees no key gets: the mean of all values of its
   *     sequence, or zeros
   */
  record Sight(Array keys, @Nullable Array queries, boolean uniformWhenBlind) {
    /**
     * Hides keys from all.
     *
     * @param keyMask [batch, keys] U8, 0 hides; null = all seen, which is no sight
     */
    public static @Nullable Sight of(@Nullable Array keyMask) {
      return keyMask == null ? null : new Sight(keyMask, null, false);
    }

    /** Throws unless the arrays are of this shape. */
    public void require(Attention shape) {
      requireBytes("sight.keys", keys, shape.batch(), shape.keys());
      if (queries != null) {
        requireBytes("sight.queries", queries, shape.batch(), shape.queries());
      }
    }

    private static void requireBytes(String name, Array numbers, long batch, long each) {
      numbers.require(name, batch, each);
      if (numbers.dtype() != DType.U8) {
        throw new ShapeException(name + " is " + numbers.dtype() + ", wanted U8");
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
   * @param sight null = all seen that the shape lets be seen
   * @param bias [queryHeads, queries, keys] wide, added to the scaled scores; null = none
   * @return of a query that sees no key zeros, unless {@code sight} has it otherwise; its logSumExp
   *     is then not to be read
   */
  Attended attend(
      Arena to,
      Attention shape,
      Array q,
      Array k,
      Array v,
      @Nullable Sight sight,
      @Nullable Array bias);

  /**
   * Recomputes the scores from q, k and the saved logSumExp. A query that sees no key passes
   * nothing on to q and k.
   */
  AttentionGradients attendBackward(
      Arena to,
      Attention shape,
      Array dOut,
      Array q,
      Array k,
      Array v,
      Attended forward,
      @Nullable Sight sight,
      @Nullable Array bias,
      boolean wantBias);
}
