package io.moextend.eval;

import io.moextend.checkpoint.TensorData;
import io.moextend.config.VisionConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A batch in which one mark, -200, stands for each image, widened to a slot for each of its patches
 * as the published prepare_inputs_labels_for_multimodal does it: hidden positions go, images are
 * taken in the order of the marks, a row without any may own one image that goes nowhere, rows are
 * cut at the longest the model was trained with and filled up on the right. A batch without marks
 * whose token types have the shape of its ids is widened already and stays as it is.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, bunny/model/bunny_arch.py
 */
final class WidenedRows {
  private static final int IGNORED = -100;

  private final TraceFile file;
  private final int slots;
  private final int batch;
  private final int width;
  private final int[] ids;
  private final int @Nullable [] labels;
  private final byte @Nullable [] mask;
  private final @Nullable TensorData types;
  private final List<Integer> rows = new ArrayList<>();
  private final List<Integer> taken = new ArrayList<>();

  private WidenedRows(TraceFile file, int slots) {
    this.file = file;
    this.slots = slots;
    TensorData given = file.ids();
    this.batch = Math.toIntExact(given.shape()[0]);
    this.width = Math.toIntExact(given.shape()[1]);
    this.ids = TraceFile.ints(given);
    TensorData labelled = file.optional("labels", batch, width);
    TensorData seen = file.optional("attention_mask", batch, width);
    this.labels = labelled == null ? null : TraceFile.ints(labelled);
    this.mask = seen == null ? null : TraceFile.flags(seen);
    this.types = file.optional("token_type_ids");
  }

  /**
   * Without pictures in the file nothing is widened, as in the original.
   *
   * @param longest where rows are cut; 0 = nowhere
   */
  static TraceInputs read(TraceFile file, VisionConfig vision, int longest) {
    var widening = new WidenedRows(file, vision.tokens());
    if (file.pixels() == null) {
      return new TraceInputs(file.origin(), widening.text(), null, file.choices());
    }
    TracedRows rows = widening.wide() ? widening.asTheyAre() : widening.widened(longest);
    return new TraceInputs(file.origin(), rows, widening.pictures(), file.choices());
  }

  private boolean wide() {
    return types != null
        && Arrays.equals(types.shape(), new long[] {batch, width})
        && Arrays.stream(types.longs()).anyMatch(type -> type == 1)
        && Arrays.stream(ids).noneMatch(WidenedRows::marks);
  }

  private static boolean marks(int id) {
    return id == VisionConfig.PLACEHOLDER;
  }

  private TraceInputs.@Nullable Pictures pictures() {
    TensorData pixels = file.pixels();
    return pixels == null ? null : new TraceInputs.Pictures(pixels, array(rows), array(taken));
  }

  private static int[] array(List<Integer> list) {
    return list.stream().mapToInt(Integer::intValue).toArray();
  }

  private TracedRows text() {
    if (Arrays.stream(ids).anyMatch(WidenedRows::marks)) {
      throw file.wrong(
          "input_ids", "has images, -200, and the file neither images nor pixel_values");
    }
    TensorData kinds = file.optional("token_type_ids", batch, width);
    return new TracedRows(
        batch, width, ids, labels, mask, kinds == null ? null : kinds.longs(), false);
  }

  private TracedRows asTheyAre() {
    long[] kinds = types == null ? new long[0] : types.longs();
    int[] images = new int[batch];
    for (int row = 0; row < batch; row++) {
      int from = row * width;
      long patches = IntStream.range(from, from + width).filter(i -> kinds[i] == 1).count();
      images[row] = Math.toIntExact(Math.ceilDiv(patches, (long) slots));
    }
    int[] first = first(images);
    int[] words = ids.clone();
    for (int row = 0; row < batch; row++) {
      int patch = first[row] * slots;
      for (int at = row * width; at < (row + 1) * width; at++) {
        if (kinds[at] == 1) {
          words[at] = 0;
          rows.add(at);
          taken.add(patch++);
        }
      }
    }
    return new TracedRows(batch, width, words, labels, mask, kinds, true);
  }

  private TracedRows widened(int longest) {
    int[] images = new int[batch];
    int[] lengths = new int[batch];
    for (int row = 0; row < batch; row++) {
      images[row] = (int) kept(row).filter(at -> marks(ids[at])).count();
      long wide = kept(row).count() + (long) images[row] * (slots - 1);
      lengths[row] = Math.toIntExact(longest == 0 ? wide : Math.min(wide, longest));
    }
    int[] first = first(images);
    int length = Arrays.stream(lengths).max().orElse(0);
    int size = Math.multiplyExact(batch, length);
    var wide =
        new TracedRows(
            batch,
            length,
            new int[size],
            labels == null ? null : new int[size],
            new byte[size],
            new long[size],
            true);
    if (wide.labels() != null) {
      Arrays.fill(wide.labels(), IGNORED);
    }
    for (int row = 0; row < batch; row++) {
      fill(wide, row, lengths[row], first[row] * slots);
    }
    return withGivenTypes(wide);
  }

  /** Positions of a row that are seen. */
  private IntStream kept(int row) {
    byte[] seen = mask;
    return IntStream.range(row * width, (row + 1) * width)
        .filter(at -> seen == null || seen[at] != 0);
  }

  private void fill(TracedRows wide, int row, int length, int firstPatch) {
    int at = row * wide.length();
    int end = at + length;
    int patch = firstPatch;
    for (int from : kept(row).toArray()) {
      if (!marks(ids[from])) {
        if (at < end) {
          word(wide, at++, from);
        }
        continue;
      }
      for (int i = 0; i < slots; i++, patch++) {
        if (at < end) {
          slot(wide, at++, patch);
        }
      }
    }
  }

  private void word(TracedRows wide, int at, int from) {
    wide.ids()[at] = ids[from];
    flag(wide, at, 0);
    if (wide.labels() != null && labels != null) {
      wide.labels()[at] = labels[from];
    }
  }

  private void slot(TracedRows wide, int at, int patch) {
    flag(wide, at, 1);
    rows.add(at);
    taken.add(patch);
  }

  private static void flag(TracedRows wide, int at, int type) {
    if (wide.mask() != null && wide.types() != null) {
      wide.mask()[at] = 1;
      wide.types()[at] = type;
    }
  }

  /** The file's own types count, padding with whatever number it has. */
  private TracedRows withGivenTypes(TracedRows wide) {
    if (types == null) {
      return wide;
    }
    if (!Arrays.equals(types.shape(), new long[] {batch, wide.length()})) {
      throw file.wrong(
          "token_type_ids",
          "has shape %s, input_ids with %d slots for each image [%d, %d]"
              .formatted(Arrays.toString(types.shape()), slots, batch, wide.length()));
    }
    return new TracedRows(
        batch, wide.length(), wide.ids(), wide.labels(), wide.mask(), types.longs(), true);
  }

  /**
   * @param images of each row
   * @return the first image of each row among all
   */
  private int[] first(int[] images) {
    TensorData pixels = file.pixels();
    long given = pixels == null || pixels.shape().length == 0 ? 0 : pixels.shape()[0];
    long needed = Arrays.stream(images).sum();
    long filled = Arrays.stream(images).map(n -> Math.max(1, n)).sum();
    if (needed == 0 && types == null && given != filled) {
      throw file.wrong(
          "token_type_ids",
          "is missing: there are %d images for %d rows, and neither a -200 in input_ids nor this says"
                  .formatted(given, batch)
              + " where they go; write 1 at image patches, 0 elsewhere");
    }
    if (given != needed && given != filled) {
      throw file.wrong(
          "input_ids",
          "has %d images and the file %d; give one for each, and for rows without any one or none"
              .formatted(needed, given));
    }
    int[] first = new int[batch];
    for (int row = 1; row < batch; row++) {
      first[row] =
          first[row - 1] + (given == filled ? Math.max(1, images[row - 1]) : images[row - 1]);
    }
    return first;
  }
}
