package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Tensor;
import io.moextend.moe.Modalities;
import io.moextend.moe.Router.Window;
import io.moextend.moe.TokenGroup;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What one mixture layer's router said of a batch, for the balance loss and for reports. All T
 * tokens have a row; which columns a row's tokens chose among is said by the windows, which rows a
 * window's group has by the modalities.
 *
 * @param layer index of the decoder layer
 * @param logits [T, C] wide; a column for each expert, or for each expert that each gate reaches
 * @param probabilities [T, C] wide
 * @param chosen [T, k] I32, experts
 * @param columns [T, k] I32, the same choice as columns of the logits
 * @param windows one for each group of tokens that is routed by itself
 * @param modalities null where all tokens are routed alike
 */
public record Routing(
    int layer,
    Tensor logits,
    Tensor probabilities,
    Array chosen,
    Array columns,
    List<Window> windows,
    @Nullable Modalities modalities) {
  /**
   * @param outs of a decoder layer that learns to route
   */
  static Routing of(
      int layer, List<Tensor> outs, List<Window> windows, @Nullable Modalities modalities) {
    return new Routing(
        layer,
        outs.get(3),
        outs.get(4),
        outs.get(1).data(),
        outs.get(5).data(),
        windows,
        modalities);
  }

  /** The rows of a window's tokens, ascending. */
  public int[] rows(Window window) {
    if (window.group() == TokenGroup.ALL || modalities == null) {
      return IntStream.range(0, Math.toIntExact(chosen.dim(0))).toArray();
    }
    return modalities.tokensOf(window.group());
  }
}
