package io.moextend.backend.bench;

import io.moextend.array.DType;

/**
 * The sizes kernels are timed at: those of the model of {@code moextend bench step}.
 *
 * @param tokens rows of activations
 * @param wide rows of gates and logits, of which there is more than memory for where there are many
 * @param routed rows of router scores, which are so short that more are needed to leave the caches
 */
public record Setting(
    DType dtype,
    int tokens,
    int wide,
    int routed,
    int hidden,
    int intermediate,
    int vocabulary,
    int experts,
    int topK,
    int queryHeads,
    int keyHeads,
    int headSize,
    int sequence) {

  /** How many tokens at once. */
  public enum Size {
    /** A few, to see whether all runs. */
    TINY,
    /** A step of the model; much of it fits the last cache. */
    MODEL,
    /** Far more than any cache holds. */
    LARGE
  }

  static Setting of(Size size, DType dtype) {
    return switch (size) {
      case TINY -> new Setting(dtype, 16, 16, 16, 64, 96, 50, 8, 2, 4, 2, 16, 8);
      case MODEL -> new Setting(dtype, 1024, 1024, 1024, 1024, 3584, 8192, 8, 2, 16, 4, 64, 512);
      case LARGE ->
          new Setting(dtype, 65536, 16384, 1 << 21, 1024, 3584, 8192, 8, 2, 16, 4, 64, 512);
    };
  }

  int batch() {
    return wide / sequence;
  }

  /** Rows after routing. */
  int rows() {
    return tokens * topK;
  }

  long tokensHidden() {
    return (long) tokens * hidden;
  }

  long rowsHidden() {
    return (long) rows() * hidden;
  }

  long routedExperts() {
    return (long) routed * experts;
  }

  long routedChoices() {
    return (long) routed * topK;
  }

  /** Bytes of {@code n} numbers in the type under test. */
  long narrow(long n) {
    return n * dtype.bytes();
  }

  /** Bytes of {@code n} numbers in F32 or I32. */
  static long inF32(long n) {
    return 4 * n;
  }
}
