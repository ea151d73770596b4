package io.moextend.moe;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.Backend;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Which tokens of a pass are routed as vision and which as text. A token is vision where it and its
 * right neighbour are image patches: the last patch of a run goes with the text, which the
 * published weights were trained with. T tokens.
 *
 * @see <a href="https://arxiv.org/abs/2312.03079">CogVLM</a>, whose rule MoIIE took over
 */
public final class Modalities {
  private final int[] kinds;
  private final Array onDevice;

  private Modalities(int[] kinds, Array onDevice) {
    this.kinds = kinds;
    this.onDevice = onDevice;
  }

  /**
   * @param arena of the step
   * @param types [T], 1 at image patches, anything else elsewhere
   * @param length of a row; its last token is text
   */
  public static Modalities of(Backend backend, Arena arena, byte[] types, int length) {
    int[] kinds = kinds(types, length);
    return new Modalities(kinds, backend.ints(arena, kinds, kinds.length));
  }

  /**
   * The rule itself. Two images side by side are one run.
   *
   * @param types as in {@link #of}
   * @return [T], 1 at vision tokens, 0 at text
   */
  public static int[] kinds(byte[] types, int length) {
    int[] kinds = new int[types.length];
    for (int t = 0; t < types.length; t++) {
      boolean last = t % length == length - 1;
      kinds[t] = !last && types[t] == 1 && types[t + 1] == 1 ? 1 : 0;
    }
    return kinds;
  }

  /** T. */
  public int tokens() {
    return kinds.length;
  }

  public boolean isVision(int token) {
    return kinds[token] == 1;
  }

  /** [T] I32 on the device: 0 text, 1 vision. */
  Array kinds() {
    return onDevice;
  }

  /** The tokens of a group, ascending. */
  public int[] tokensOf(TokenGroup group) {
    return IntStream.range(0, kinds.length).filter(t -> has(group, t)).toArray();
  }

  /**
   * @param counted [T], 0 where a token does not count
   * @return [T], 1 where it does and belongs to the group
   */
  public byte[] among(TokenGroup group, byte[] counted) {
    byte[] both = new byte[kinds.length];
    for (int t = 0; t < both.length; t++) {
      both[t] = (byte) (counted[t] != 0 && has(group, t) ? 1 : 0);
    }
    return both;
  }

  private boolean has(TokenGroup group, int token) {
    return switch (group) {
      case ALL -> true;
      case VISION -> isVision(token);
      case TEXT -> !isVision(token);
    };
  }

  @Override
  public String toString() {
    return "%d vision tokens of %d".formatted(Arrays.stream(kinds).sum(), kinds.length);
  }
}
