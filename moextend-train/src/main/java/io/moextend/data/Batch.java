package io.moextend.data;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Rows for one step, in plain host memory.
 *
 * @param rows number of samples
 * @param length positions of each row
 * @param ids [rows, length]
 * @param labels [rows, length], -100 where nothing is learnt; the label at t is predicted at t - 1
 * @param mask [rows, length], 0 at padding
 * @param pixels [images, 3, size, size], in the order of {@code images}
 * @param imageSize pixels a side
 * @param images where each image stands, row by row
 * @param samples how errors and logs name the rows
 * @param lossPositions labels that count: all that are not -100 behind the first of each row
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record Batch(
    int rows,
    int length,
    int[] ids,
    int[] labels,
    byte[] mask,
    float[] pixels,
    int imageSize,
    List<Image> images,
    List<String> samples,
    int lossPositions) {
  /**
   * One image of a batch.
   *
   * @param firstSlot position in the row of its first patch; where the model writes {@code
   *     <image>}, it is one before
   * @param slots number of patches
   * @param sha256 of the file's bytes, in hex
   */
  public record Image(int row, int firstSlot, int slots, Path file, String sha256) {}

  public Batch {
    images = List.copyOf(images);
    samples = List.copyOf(samples);
    long positions = (long) rows * length;
    if (ids.length != positions || labels.length != positions || mask.length != positions) {
      throw new IllegalArgumentException(
          "[%d, %d] with %d ids, %d labels, %d mask"
              .formatted(rows, length, ids.length, labels.length, mask.length));
    }
    if (pixels.length != 3L * imageSize * imageSize * images.size()) {
      throw new IllegalArgumentException(
          "%d images of [3, %d, %d] with %d pixels"
              .formatted(images.size(), imageSize, imageSize, pixels.length));
    }
  }

  /** Of the rows · length positions, those that image patches overwrite, image after image. */
  public int[] imagePositions() {
    return images.stream()
        .flatMapToInt(
            image -> {
              int first = image.row() * length + image.firstSlot();
              return IntStream.range(first, first + image.slots());
            })
        .toArray();
  }
}
