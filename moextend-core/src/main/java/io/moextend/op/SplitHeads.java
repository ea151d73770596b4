package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The stacked product [q | k | v] cut into three, q and k rotated by their positions.
 *
 * @see <a href="https://arxiv.org/abs/2104.09864">RoFormer</a>, eq. 34, in the half-split layout of
 *     Llama's published code
 */
public final class SplitHeads {
  private SplitHeads() {}

  /**
   * @param positions [R] I32
   * @param cos [P, headSize/2] wide
   * @param sin [P, headSize/2] wide
   */
  public record Rotation(Array positions, Array cos, Array sin) {}

  /**
   * @param qkv [R, (queryHeads + 2·keyHeads)·headSize]
   * @param rotation null for a model without rotary positions
   * @return q [R, queryHeads·headSize], k and v [R, keyHeads·headSize]
   */
  public static List<Tensor> apply(
      Tape tape, Tensor qkv, Attention shape, @Nullable Rotation rotation) {
    long keysFrom = (long) shape.queryHeads() * shape.headSize();
    long valuesFrom = keysFrom + (long) shape.keyHeads() * shape.headSize();
    Array x = qkv.data();
    List<Array> outs =
        List.of(
            turned(tape, x, 0, shape.queryHeads(), keysFrom, rotation, false),
            turned(tape, x, keysFrom, shape.keyHeads(), valuesFrom, rotation, false),
            tape.backend().columns(tape.arena(), x, valuesFrom, x.dim(1)));
    List<Array> saved =
        rotation == null ? List.of() : List.of(rotation.positions, rotation.cos, rotation.sin);
    return tape.recordAll(
        "splitHeads", outs, List.of(qkv), saved, d -> List.of(backward(tape, shape, rotation, d)));
  }

  /**
   * Heads rotated by their positions.
   *
   * @param x [R, heads·headSize]; @return as x
   * @param rotation null for a model without rotary positions
   */
  public static Tensor turned(Tape tape, Tensor x, int heads, @Nullable Rotation rotation) {
    if (rotation == null) {
      return x;
    }
    long width = x.data().dim(1);
    return tape.record(
        "turnHeads",
        turned(tape, x.data(), 0, heads, width, rotation, false),
        List.of(x),
        List.of(rotation.positions, rotation.cos, rotation.sin),
        d -> List.of(turned(tape, d, 0, heads, width, rotation, true)));
  }

  private static Array backward(
      Tape tape, Attention shape, @Nullable Rotation rotation, @Nullable Array[] d) {
    Array dQ = wanted(d[0]);
    Array dK = wanted(d[1]);
    return tape.backend()
        .joinColumns(
            tape.arena(),
            List.of(
                turned(tape, dQ, 0, shape.queryHeads(), dQ.dim(1), rotation, true),
                turned(tape, dK, 0, shape.keyHeads(), dK.dim(1), rotation, true),
                wanted(d[2])));
  }

  private static Array turned(
      Tape tape,
      Array x,
      long from,
      int heads,
      long until,
      @Nullable Rotation rotation,
      boolean inverse) {
    Backend backend = tape.backend();
    if (rotation != null) {
      return backend.rotate(
          tape.arena(), x, from, heads, rotation.positions, rotation.cos, rotation.sin, inverse);
    }
    return from == 0 && until == x.dim(1) ? x : backend.columns(tape.arena(), x, from, until);
  }

  private static Array wanted(@Nullable Array gradient) {
    if (gradient == null) {
      throw new IllegalStateException("q, k and v are used together or not at all");
    }
    return gradient;
  }
}
