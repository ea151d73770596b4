package io.moextend.train;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.data.Batch;
import io.moextend.data.FeatureCache;
import io.moextend.model.Decoder;
import io.moextend.model.ModelInput;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a batch puts into its image slots: pixels, or with a cache what the frozen tower made of
 * them, this time or an earlier one.
 *
 * @param cache null = the tower runs every time
 */
public record BatchImages(Backend backend, Decoder model, @Nullable FeatureCache cache) {
  /**
   * @return null where the batch has no images
   */
  public ModelInput.@Nullable Images of(Arena arena, Batch batch) {
    if (batch.images().isEmpty()) {
      return null;
    }
    int[] slots = batch.imagePositions();
    Array rows = backend.ints(arena, slots, slots.length);
    if (cache == null) {
      return new ModelInput.Images.Pixels(pixels(arena, batch, batch.pixels()), rows);
    }
    return new ModelInput.Images.Features(features(arena, batch, cache), rows);
  }

  private Array pixels(Arena arena, Batch batch, float[] pixels) {
    int size = batch.imageSize();
    int images = pixels.length / (3 * size * size);
    return backend.floats(arena, model.dtype(), pixels, images, 3, size, size);
  }

  private Array features(Arena arena, Batch batch, FeatureCache from) {
    var found = new ArrayList<float[]>();
    var missing = new ArrayList<Integer>();
    for (int i = 0; i < batch.images().size(); i++) {
      found.add(from.read(batch.images().get(i).sha256()).orElse(new float[0]));
      if (found.getLast().length == 0) {
        missing.add(i);
      }
    }
    if (!missing.isEmpty()) {
      make(batch, missing, found);
      missing.forEach(i -> from.write(batch.images().get(i).sha256(), found.get(i)));
    }
    float[] all = new float[found.stream().mapToInt(f -> f.length).sum()];
    int at = 0;
    for (float[] one : found) {
      System.arraycopy(one, 0, all, at, one.length);
      at += one.length;
    }
    // as many as the tower's patches, which a projector may make fewer tokens of
    int width = Objects.requireNonNull(model.config().vision()).features();
    return backend.floats(arena, model.dtype(), all, all.length / width, width);
  }

  private void make(Batch batch, List<Integer> missing, List<float[]> found) {
    int each = batch.pixels().length / batch.images().size();
    float[] pixels = new float[each * missing.size()];
    for (int i = 0; i < missing.size(); i++) {
      System.arraycopy(batch.pixels(), missing.get(i) * each, pixels, i * each, each);
    }
    try (Arena scratch = backend.arena("image features")) {
      Array made = model.imageFeatures(Tape.off(backend, scratch), pixels(scratch, batch, pixels));
      float[] values = backend.toFloats(scratch, made);
      int length = values.length / missing.size();
      for (int i = 0; i < missing.size(); i++) {
        found.set(missing.get(i), Arrays.copyOfRange(values, i * length, (i + 1) * length));
      }
    }
  }
}
