package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.model.CausalLoss;
import io.moextend.model.ModelInput;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A batch as a trace reads it from a file: input_ids and labels [batch, length], attention_mask
 * likewise, pixel_values [N, C, S, S], img_pos rows (row, position of {@code <image>}, position of
 * {@code </image>}), and selected_experts.N [T, k] to replay a recorded choice.
 */
record TraceInputs(
    String origin,
    int batch,
    int length,
    int[] ids,
    int @Nullable [] labels,
    byte @Nullable [] mask,
    @Nullable TensorData pixels,
    int[] imageRows,
    List<TensorData> forced) {

  static TraceInputs read(WeightSource file) {
    TensorData ids = file.tensor("input_ids");
    if (ids.shape().length != 2) {
      throw CheckpointException.ofTensor(
          file.origin(),
          "input_ids",
          "has shape " + Arrays.toString(ids.shape()) + ", wanted [batch, length]");
    }
    int batch = Math.toIntExact(ids.shape()[0]);
    int length = Math.toIntExact(ids.shape()[1]);
    TensorData mask = optional(file, "attention_mask", batch, length);
    TensorData labels = optional(file, "labels", batch, length);
    TensorData pixels = file.names().contains("pixel_values") ? file.tensor("pixel_values") : null;
    var forced = new ArrayList<TensorData>();
    while (file.names().contains("selected_experts." + forced.size())) {
      forced.add(file.tensor("selected_experts." + forced.size()));
    }
    return new TraceInputs(
        file.origin(),
        batch,
        length,
        ints(ids),
        labels == null ? null : ints(labels),
        mask == null ? null : bytes(mask),
        pixels,
        pixels == null ? new int[0] : imageRows(file, batch, length),
        forced);
  }

  private static @Nullable TensorData optional(
      WeightSource file, String name, int batch, int length) {
    if (!file.names().contains(name)) {
      return null;
    }
    TensorData data = file.tensor(name);
    if (!Arrays.equals(data.shape(), new long[] {batch, length})) {
      throw CheckpointException.ofTensor(
          file.origin(),
          name,
          "has shape %s, input_ids [%d, %d]"
              .formatted(Arrays.toString(data.shape()), batch, length));
    }
    return data;
  }

  /** The rows of the T tokens strictly between each {@code <image>} and {@code </image>}. */
  private static int[] imageRows(WeightSource file, int batch, int length) {
    TensorData positions = file.tensor("img_pos");
    long[] values = positions.longs();
    if (positions.shape().length != 2 || positions.shape()[1] != 3) {
      throw CheckpointException.ofTensor(
          file.origin(),
          "img_pos",
          "has shape " + Arrays.toString(positions.shape()) + ", wanted [images, 3]");
    }
    var rows = new ArrayList<Integer>();
    for (int i = 0; i < values.length; i += 3) {
      if (values[i] < 0 || values[i] >= batch || values[i + 1] < 0 || values[i + 2] > length - 1L) {
        throw CheckpointException.ofTensor(
            file.origin(), "img_pos", "row " + i / 3 + " points outside input_ids");
      }
      for (long at = values[i + 1] + 1; at < values[i + 2]; at++) {
        rows.add(Math.toIntExact(values[i] * length + at));
      }
    }
    return rows.stream().mapToInt(Integer::intValue).toArray();
  }

  /**
   * @param choice what the routers must choose; empty = they choose
   */
  ModelInput on(Backend backend, Arena arena, DType dtype, List<TensorData> choice) {
    ModelInput.Images images = null;
    if (pixels != null && imageRows.length > 0) {
      images =
          new ModelInput.Images.Pixels(
              backend.floats(arena, dtype, pixels.floats(), pixels.shape()),
              backend.ints(arena, imageRows, imageRows.length));
    }
    var choices = new ArrayList<Array>();
    for (TensorData layer : choice) {
      choices.add(backend.ints(arena, ints(layer), layer.shape()));
    }
    return new ModelInput(
        batch,
        length,
        backend.ints(arena, ids, ids.length),
        mask == null ? null : backend.bytes(arena, mask, batch, length),
        images,
        choices);
  }

  /** Positions whose next token is labelled; null where the file has no labels. */
  CausalLoss.@Nullable Labels labels(Backend backend, Arena arena) {
    return labels == null ? null : CausalLoss.Labels.of(backend, arena, labels, length);
  }

  private static int[] ints(TensorData data) {
    return Arrays.stream(data.longs()).mapToInt(Math::toIntExact).toArray();
  }

  private static byte[] bytes(TensorData data) {
    long[] values = data.longs();
    byte[] result = new byte[values.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = (byte) (values[i] == 0 ? 0 : 1);
    }
    return result;
  }
}
