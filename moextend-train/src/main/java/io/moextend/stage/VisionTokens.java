package io.moextend.stage;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.data.Batch;
import io.moextend.moe.Modalities;
import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.IntStream;

/** Which tokens statistics take for vision; all others are text. */
public enum VisionTokens {
  /**
   * Image patches whose right neighbour is one too, as MoIIE's routers tell modalities; so too in
   * its rivals, that all count the same tokens.
   */
  @JsonProperty("patches-before-a-patch")
  PATCHES_BEFORE_A_PATCH,

  /** All image patches: models whose router does not look at modalities. */
  @JsonProperty("patches")
  PATCHES;

  static VisionTokens of(DecoderConfig config) {
    return config.feedForward() instanceof FeedForwardConfig.Mixed
        ? PATCHES_BEFORE_A_PATCH
        : PATCHES;
  }

  /** The vision tokens among the rows · length of a batch. */
  BitSet among(Batch batch) {
    int[] patches = batch.imagePositions();
    return switch (this) {
      case PATCHES_BEFORE_A_PATCH -> {
        byte[] types = new byte[batch.ids().length];
        Arrays.stream(patches).forEach(at -> types[at] = 1);
        int[] kinds = Modalities.kinds(types, batch.length());
        yield bits(IntStream.range(0, kinds.length).filter(t -> kinds[t] == 1));
      }
      case PATCHES -> bits(Arrays.stream(patches));
    };
  }

  private static BitSet bits(IntStream at) {
    var bits = new BitSet();
    at.forEach(bits::set);
    return bits;
  }

  /** A sentence for a report. */
  public String explanation() {
    return switch (this) {
      case PATCHES_BEFORE_A_PATCH ->
          "Vision tokens are image patches with another patch to their right, as the routers tell"
              + " them apart: the last patch of an image is routed as text.";
      case PATCHES -> "Vision tokens are image patches.";
    };
  }
}
