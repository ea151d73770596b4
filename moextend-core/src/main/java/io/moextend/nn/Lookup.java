package io.moextend.nn;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import io.moextend.op.Attend;
import org.jspecify.annotations.Nullable;

/**
 * Where queries find keys and values: among those of their own pass, or also among those that a
 * cache kept from earlier ones.
 */
@FunctionalInterface
public interface Lookup {
  /**
   * @param q [R, queryHeads·headSize], rotated
   * @param k [R, keyHeads·headSize], of the same tokens, rotated
   * @param v as k
   * @return as q
   */
  Tensor attend(Tape tape, Tensor q, Tensor k, Tensor v);

  /**
   * Among those of the pass alone.
   *
   * @param keyMask [batch, length] U8, 0 hides; null = all seen
   */
  static Lookup within(Attention shape, @Nullable Array keyMask) {
    return within(shape, Sight.of(keyMask), null);
  }

  /**
   * Among those of the pass alone.
   *
   * @param sight null = all seen that the shape lets be seen
   * @param bias [queryHeads, queries, keys] wide, or null
   */
  static Lookup within(Attention shape, @Nullable Sight sight, @Nullable Tensor bias) {
    return (tape, q, k, v) -> Attend.apply(tape, shape, q, k, v, sight, bias);
  }
}
