package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.moe.Modalities;
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
 * @param types [T] U8, 1 at image patches, 0 elsewhere; null = 1 where images put patches
 * @param noise seed of the noise that a training pass has where a model is trained with any; null =
 *     none
 * @param blank [R] I32, rows of the T tokens that enter the first layer as zeros instead of their
 *     id's embedding, as Bunny fills rows up; null = none
 */
public record ModelInput(
    int batch,
    int length,
    Array ids,
    @Nullable Array mask,
    @Nullable Images images,
    List<Array> forcedExperts,
    @Nullable Array types,
    @Nullable Long noise,
    @Nullable Array blank) {
  /** What stands in the image slots. */
  public sealed interface Images {
    /**
     * [slots] I32, rows of the T tokens that image patches overwrite, in the order of the patches.
     */
    Array rows();

    /**
     * [slots] I32, which of all images' patches stand there, where some stand nowhere: those of an
     * image that only fills a row up, or of one that a row's end cuts. null = all, in their order
     */
    default @Nullable Array taken() {
      return null;
    }

    /**
     * @param pixels [N, channels, size, size], of the compute type
     */
    record Pixels(Array pixels, Array rows, @Nullable Array taken) implements Images {
      /** All of whose patches have slots. */
      public Pixels(Array pixels, Array rows) {
        this(pixels, rows, null);
      }
    }

    /**
     * @param features [slots, tower width], what a frozen tower made of them
     */
    record Features(Array features, Array rows) implements Images {}
  }

  /** A pass without noise whose image patches stand where its images say. */
  public ModelInput(
      int batch,
      int length,
      Array ids,
      @Nullable Array mask,
      @Nullable Images images,
      List<Array> forcedExperts) {
    this(batch, length, ids, mask, images, forcedExperts, null, null);
  }

  /** Every one of whose ids is embedded. */
  public ModelInput(
      int batch,
      int length,
      Array ids,
      @Nullable Array mask,
      @Nullable Images images,
      List<Array> forcedExperts,
      @Nullable Array types,
      @Nullable Long noise) {
    this(batch, length, ids, mask, images, forcedExperts, types, noise, null);
  }

  public ModelInput {
    ids.require("ids", (long) batch * length);
    if (mask != null) {
      mask.require("mask", batch, length);
    }
    if (types != null) {
      types.require("types", (long) batch * length);
    }
    forcedExperts = List.copyOf(forcedExperts);
  }

  /** The same as a training pass, with noise where the model is trained with any. */
  public ModelInput with(long noise) {
    return new ModelInput(batch, length, ids, mask, images, forcedExperts, types, noise, blank);
  }

  public int tokens() {
    return batch * length;
  }

  /**
   * Which tokens are vision and which text; waits for the device, where types and slots are. Null
   * where the model does not want to know.
   */
  @Nullable Modalities modalities(Tape tape, DecoderConfig config) {
    if (!(config.feedForward() instanceof FeedForwardConfig.Mixed mixed)
        || !mixed.scheme().tellsModalities()) {
      return null;
    }
    byte[] patches = new byte[tokens()];
    if (types != null) {
      patches = tape.backend().toBytes(types);
    } else if (images != null) {
      for (int row : tape.backend().toInts(images.rows())) {
        patches[row] = 1;
      }
    }
    return Modalities.of(tape.backend(), tape.arena(), patches, length);
  }

  /** The recorded choice of one mixture, null where its router chooses. */
  @Nullable Array forced(int mixture) {
    return forcedExperts.isEmpty() ? null : forcedExperts.get(mixture);
  }
}
