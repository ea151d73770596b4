package io.moextend.model;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Token ids on the host, row after row. Where several examples share a row, segments tell them
 * apart: 1, 2, …, and 0 at padding; those of one number in inputs and targets belong together.
 *
 * @param inputs [rows·inputLength], filled up with the padding token
 * @param targets [rows·targetLength], likewise, each ending in the end token
 * @param decoderInputs [rows·targetLength], what the decoder is given: see {@link #shifted}
 * @param inputSegments null where a row is one example
 * @param targetSegments null where {@code inputSegments} is
 * @param openPadding true where padded places see what real ones see, and nothing is set to 0, as
 *     with Hugging Face; real places are the same either way. Not with segments
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere
public record T5Batch(
    int rows,
    int[] inputs,
    int[] targets,
    int[] decoderInputs,
    int @Nullable [] inputSegments,
    int @Nullable [] targetSegments,
    boolean openPadding) {
  /** Examples a row may hold. */
  public static final int MOST_SEGMENTS = 255;

  public T5Batch {
    requireRows("inputs", inputs.length, rows);
    requireRows("targets", targets.length, rows);
    requireSame("decoderInputs", decoderInputs.length, "targets", targets.length);
    if ((inputSegments == null) != (targetSegments == null)) {
      throw new IllegalArgumentException("segments of inputs and of targets come together");
    }
    if (inputSegments != null && openPadding) {
      throw new IllegalArgumentException("padding of rows with several examples is not open");
    }
    if (inputSegments != null && targetSegments != null) {
      requireSame("inputSegments", inputSegments.length, "inputs", inputs.length);
      requireSame("targetSegments", targetSegments.length, "targets", targets.length);
      requireNumbers(inputSegments);
      requireNumbers(targetSegments);
    }
  }

  /** As T5X has padding. */
  public T5Batch(
      int rows,
      int[] inputs,
      int[] targets,
      int[] decoderInputs,
      int @Nullable [] inputSegments,
      int @Nullable [] targetSegments) {
    this(rows, inputs, targets, decoderInputs, inputSegments, targetSegments, false);
  }

  /** Rows of one example each. */
  public static T5Batch plain(int rows, int[] inputs, int[] targets, int start) {
    return new T5Batch(rows, inputs, targets, shifted(rows, targets, null, start), null, null);
  }

  /** Rows of several examples. */
  public static T5Batch packed(
      int rows, int[] inputs, int[] targets, int[] inputSegments, int[] targetSegments, int start) {
    int[] shifted = shifted(rows, targets, targetSegments, start);
    return new T5Batch(rows, inputs, targets, shifted, inputSegments, targetSegments);
  }

  /** The same with other decoder inputs. */
  public T5Batch reading(int[] other) {
    return new T5Batch(rows, inputs, targets, other, inputSegments, targetSegments, openPadding);
  }

  /** The same with padding as Hugging Face has it. */
  public T5Batch withOpenPadding() {
    return new T5Batch(rows, inputs, targets, decoderInputs, inputSegments, targetSegments, true);
  }

  /**
   * Targets one place later, with the start token before the first of a row and of each segment.
   * Without segments the padding is shifted too, so that the first padded place has the end token,
   * as in the original.
   *
   * @param segments null where a row is one example
   * @param start the start token
   */
  public static int[] shifted(int rows, int[] targets, int @Nullable [] segments, int start) {
    requireRows("targets", targets.length, rows);
    int length = targets.length / rows;
    int[] shifted = new int[targets.length];
    Arrays.setAll(
        shifted,
        at -> {
          boolean first =
              at % length == 0 || (segments != null && segments[at] != segments[at - 1]);
          return first ? start : targets[at - 1];
        });
    return shifted;
  }

  /** Tokens of a row of inputs. */
  public int inputLength() {
    return inputs.length / rows;
  }

  /** Tokens of a row of targets. */
  public int targetLength() {
    return targets.length / rows;
  }

  private static void requireRows(String name, int size, int rows) {
    if (rows < 1 || size < rows || size % rows != 0) {
      throw new IllegalArgumentException("%s: %d tokens in %d rows".formatted(name, size, rows));
    }
  }

  private static void requireSame(String name, int size, String other, int wanted) {
    if (size != wanted) {
      throw new IllegalArgumentException("%s: %d, but %s %d".formatted(name, size, other, wanted));
    }
  }

  private static void requireNumbers(int[] segments) {
    for (int segment : segments) {
      if (segment < 0 || segment > MOST_SEGMENTS) {
        throw new IllegalArgumentException(
            "segment %d: a row holds at most %d examples; pack fewer into one"
                .formatted(segment, MOST_SEGMENTS));
      }
    }
  }
}
