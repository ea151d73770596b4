package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.VisionConfig;
import io.moextend.model.CausalLoss;
import io.moextend.model.ModelInput;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A batch as a trace reads it from a file: input_ids [batch, length] and, where there are any,
 * labels and attention_mask likewise and selected_experts.N [T, k] to replay a recorded choice.
 * Pictures are pixel_values or images [N, C, S, S]. Where the vocabulary marks them (MoExtend),
 * img_pos has rows (row, position of {@code <image>}, position of {@code </image>}); where it does
 * not (MoIIE), -200 in input_ids stands for a whole image and token_type_ids [batch, widened
 * length] may say what is a patch.
 */
record TraceInputs(
    String origin, TracedRows rows, @Nullable Pictures pictures, List<TensorData> forced) {

  /**
   * @param rows of the T tokens, slot by slot
   * @param taken which patches stand there; null = all, in their order
   */
  @SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
  record Pictures(TensorData pixels, int[] rows, int @Nullable [] taken) {}

  /**
   * @param vision of the model that reads the batch; null where it has none
   * @param longest where rows of widened images are cut; 0 = nowhere
   */
  static TraceInputs read(WeightSource source, @Nullable VisionConfig vision, int longest) {
    var file = new TraceFile(source);
    return vision == null || vision.marked()
        ? marked(file)
        : WidenedRows.read(file, vision, longest);
  }

  private static TraceInputs marked(TraceFile file) {
    TensorData ids = file.ids();
    int batch = Math.toIntExact(ids.shape()[0]);
    int length = Math.toIntExact(ids.shape()[1]);
    TensorData mask = file.optional("attention_mask", batch, length);
    TensorData labels = file.optional("labels", batch, length);
    var rows =
        new TracedRows(
            batch,
            length,
            TraceFile.ints(ids),
            labels == null ? null : TraceFile.ints(labels),
            mask == null ? null : TraceFile.flags(mask),
            null,
            false);
    TensorData pixels = file.pixels();
    int[] slots = pixels == null ? new int[0] : between(file, batch, length);
    Pictures pictures =
        pixels == null || slots.length == 0 ? null : new Pictures(pixels, slots, null);
    return new TraceInputs(file.origin(), rows, pictures, file.choices());
  }

  /** The rows of the T tokens strictly between each {@code <image>} and {@code </image>}. */
  private static int[] between(TraceFile file, int batch, int length) {
    TensorData positions = file.tensor("img_pos");
    long[] values = positions.longs();
    if (positions.shape().length != 2 || positions.shape()[1] != 3) {
      throw file.wrong(
          "img_pos", "has shape " + Arrays.toString(positions.shape()) + ", wanted [images, 3]");
    }
    var rows = new ArrayList<Integer>();
    for (int i = 0; i < values.length; i += 3) {
      if (values[i] < 0 || values[i] >= batch || values[i + 1] < 0 || values[i + 2] > length - 1L) {
        throw file.wrong("img_pos", "row " + i / 3 + " points outside input_ids");
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
    var choices = new ArrayList<Array>();
    for (TensorData layer : choice) {
      choices.add(backend.ints(arena, TraceFile.ints(layer), layer.shape()));
    }
    int[] ids = rows.ids();
    byte[] mask = rows.mask();
    byte[] patches = rows.patches();
    int[] blank = rows.blank();
    return new ModelInput(
        rows.batch(),
        rows.length(),
        backend.ints(arena, ids, ids.length),
        mask == null ? null : backend.bytes(arena, mask, rows.batch(), rows.length()),
        pictures == null ? null : images(backend, arena, dtype, pictures),
        choices,
        patches == null ? null : backend.bytes(arena, patches, patches.length),
        null,
        blank.length == 0 ? null : backend.ints(arena, blank, blank.length));
  }

  private static ModelInput.Images images(
      Backend backend, Arena arena, DType dtype, Pictures pictures) {
    TensorData pixels = pictures.pixels();
    int[] taken = pictures.taken();
    return new ModelInput.Images.Pixels(
        backend.floats(arena, dtype, pixels.floats(), pixels.shape()),
        backend.ints(arena, pictures.rows(), pictures.rows().length),
        taken == null ? null : backend.ints(arena, taken, taken.length));
  }

  /** Positions whose next token is labelled; null where the file has no labels. */
  CausalLoss.@Nullable Labels labels(Backend backend, Arena arena) {
    int[] labels = rows.labels();
    return labels == null ? null : CausalLoss.Labels.of(backend, arena, labels, rows.length());
  }
}
