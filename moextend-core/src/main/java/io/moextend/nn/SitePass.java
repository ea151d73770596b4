package io.moextend.nn;

import io.moextend.array.Array;
import io.moextend.autograd.Tensor;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What sites are told of one forward pass, and whom they tell what they did.
 *
 * @param watch sees "router.MODULE" (probabilities after the choice) and "adapter_output.MODULE"
 * @param routed is given each router's module and logits [R, E] or [R·heads, E], wide, for a loss
 *     on them; where a layer may run twice, its segment has to hand them out
 * @param noise seed of this pass' jitter; null = none
 */
public record SitePass(
    BiConsumer<String, Array> watch, BiConsumer<String, Tensor> routed, @Nullable Long noise) {
  /** Sees nothing: what is made to be shown alone need not be made. */
  public static final BiConsumer<String, Array> NOBODY = (name, array) -> {};

  /** Nobody looks, nothing is drawn. */
  public static final SitePass QUIET = new SitePass(NOBODY, (module, tensor) -> {}, null);

  public boolean isWatched() {
    return watch != NOBODY;
  }
}
