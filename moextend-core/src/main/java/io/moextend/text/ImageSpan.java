package io.moextend.text;

/**
 * Where one image stands in a row of ids: the slots that its features overwrite. {@link
 * ImageTokens} puts {@code <image>} before them and {@code </image>} behind; {@link ImagePlaces}
 * puts nothing.
 *
 * @param firstSlot position of the first slot
 * @param slots how many, one per patch
 * @param path of the image file as the dataset writes it
 */
public record ImageSpan(int firstSlot, int slots, String path) {
  public ImageSpan {
    if (firstSlot < 0 || slots < 1) {
      throw new IllegalArgumentException(
          "an image span needs at least one slot from 0 on: firstSlot=%d slots=%d"
              .formatted(firstSlot, slots));
    }
  }

  /** Position of {@code <image>}, where the model writes it. */
  public int start() {
    return firstSlot - 1;
  }

  /** Position behind the last slot: of {@code </image>}, where the model writes it. */
  public int end() {
    return firstSlot + slots;
  }

  /** The same span in a row that has {@code positions} ids more before it. */
  public ImageSpan shifted(int positions) {
    return new ImageSpan(firstSlot + positions, slots, path);
  }
}
