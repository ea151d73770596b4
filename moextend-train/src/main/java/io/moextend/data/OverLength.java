package io.moextend.data;

/** What happens to a sample that is longer than the row. */
public enum OverLength {
  /** It is an error that names the sample. */
  REJECT,
  /**
   * Its end is cut off, as published. A cut inside an image is an error of {@link Encoder}, and
   * goes before the image in {@link ConversationEncoder}.
   */
  TRUNCATE,
  /** It is left out and counted. */
  SKIP;

  /** What says that a sample is too long. */
  static DataException rejected(Sample sample, int length, int maxLength) {
    return DataException.at(
        sample.where(),
        ("it has %d ids and max length is %d; shorten it, raise max length, or set over length to"
                + " truncate or skip")
            .formatted(length, maxLength),
        null);
  }
}
