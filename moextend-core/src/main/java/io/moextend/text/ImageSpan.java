package io.moextend.text;

/**
 * Where one image stands in a row of ids: {@code <image>} at {@code firstSlot - 1}, then the slots
 * that its features overwrite, then {@code </image>}.
 *
 * @param firstSlot position of the first slot
 * @param slots how many, one per patch
 * @param path of the image file as the dataset writes it
 */
public record ImageSpan(int firstSlot, int slots, String path) {
  public ImageSpan {
    if (firstSlot < 1 || slots < 1) {
      throw new IllegalArgumentException(
          "an image span needs <image> before at least one slot: firstSlot=%d slots=%d"
              .formatted(firstSlot, slots));
    }
  }

  /** Position of {@code <image>}. */
  public int start() {
    return firstSlot - 1;
  }

  /** Position of {@code </image>}. */
  public int end() {
    return firstSlot + slots;
  }

  /** The same span in a row that has {@code positions} ids more before it. */
  public ImageSpan shifted(int positions) {
    return new ImageSpan(firstSlot + positions, slots, path);
  }
}
