package io.moextend.model;

import io.moextend.array.Array;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One micro-batch on the device; its arrays are the step arena's. T = batch·length.
 *
 * @param ids [T] I32
 * @param mask [batch, length] U8, 0 where a key is hidden; null = all seen
 * @param images null where the batch has none
 * @param forcedExperts per layer [T, k] I32, a recorded choice to replay; empty = the routers
 *     choose
 */
public record ModelInput(
    int batch,
    int length,
    Array ids,
    @Nullable Array mask,
    @Nullable Images images,
    List<Array> forcedExperts) {
  /** What stands in the image slots. */
  public sealed interface Images {
    /**
     * [slots] I32, rows of the T tokens that image patches overwrite, in the order of the patches.
     */
    Array rows();

    /**
     * @param pixels [N, channels, size, size], of the compute type
     */
    record Pixels(Array pixels, Array rows) implements Images {}

    /**
     * @param features [slots, tower width], what a frozen tower made of them
     */
    record Features(Array features, Array rows) implements Images {}
  }

  public ModelInput {
    ids.require("ids", (long) batch * length);
    if (mask != null) {
      mask.require("mask", batch, length);
    }
    forcedExperts = List.copyOf(forcedExperts);
  }

  public int tokens() {
    return batch * length;
  }
}
