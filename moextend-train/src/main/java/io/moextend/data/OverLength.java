package io.moextend.data;

/** What happens to a sample that is longer than the row. */
public enum OverLength {
  /** It is an error that names the sample. */
  REJECT,
  /** Its end is cut off, as published; a cut inside an image is an error. */
  TRUNCATE,
  /** It is left out and counted. */
  SKIP
}
