package io.moextend.data.prompted;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Rows of an encoder-decoder model for one step, in plain host memory; 0 pads.
 *
 * @param inputLength positions of a row's inputs
 * @param targetLength positions of a row's targets
 * @param inputs [rows, inputLength]
 * @param targets [rows, targetLength]
 * @param decoderInputs [rows, targetLength], targets one to the right: packed, 0 begins every
 *     segment and stands at padding; else the padded row is shifted, so that an end token stands at
 *     the first padding, as SeqIO has it
 * @param inputSegments [rows, inputLength], from 1, 0 at padding; null where rows hold one example
 * @param targetSegments [rows, targetLength], likewise
 * @param examples how errors and logs name them, row by row
 * @param together what all ranks' rows of this micro-batch hold
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record PromptedBatch(
    int rows,
    int inputLength,
    int targetLength,
    int[] inputs,
    int[] targets,
    int[] decoderInputs,
    int @Nullable [] inputSegments,
    int @Nullable [] targetSegments,
    List<String> examples,
    Together together) {
  /**
   * The same on every rank, so that each can divide its losses by what all have.
   *
   * @param realTargets that are no padding
   * @param targets with padding, every row at its full length
   */
  public record Together(long examples, long realTargets, long targets) {
    static Together of(List<List<TokenPair>> rows, RowLayout layout) {
      long examples = rows.stream().mapToLong(List::size).sum();
      long real =
          rows.stream().flatMap(List::stream).mapToLong(pair -> pair.targets().length).sum();
      return new Together(examples, real, (long) rows.size() * layout.targetLength());
    }
  }

  public PromptedBatch {
    examples = List.copyOf(examples);
    if (inputs.length != (long) rows * inputLength
        || targets.length != (long) rows * targetLength
        || decoderInputs.length != targets.length
        || (inputSegments == null) != (targetSegments == null)
        || (inputSegments != null && inputSegments.length != inputs.length)
        || (targetSegments != null && targetSegments.length != targets.length)) {
      throw new IllegalArgumentException(
          "[%d, %d] and [%d, %d] with %d inputs, %d targets, %d decoder inputs"
              .formatted(
                  rows,
                  inputLength,
                  rows,
                  targetLength,
                  inputs.length,
                  targets.length,
                  decoderInputs.length));
    }
  }

  /**
   * @param rows the examples of each; those of one row fit the layout
   */
  public static PromptedBatch of(List<List<TokenPair>> rows, RowLayout layout) {
    return of(rows, layout, Together.of(rows, layout));
  }

  /**
   * As above, of one rank.
   *
   * @param together of all ranks' rows
   */
  static PromptedBatch of(List<List<TokenPair>> rows, RowLayout layout, Together together) {
    boolean packed = layout.kind() == RowLayout.Kind.PACKED;
    int in = layout.inputLength();
    int out = layout.targetLength();
    if (layout.kind() == RowLayout.Kind.LONGEST) {
      in = rows.stream().mapToInt(row -> row.getFirst().inputs().length).max().orElse(0);
      out = rows.stream().mapToInt(row -> row.getFirst().targets().length).max().orElse(0);
    }
    int[] inputs = new int[Math.multiplyExact(rows.size(), in)];
    int[] targets = new int[Math.multiplyExact(rows.size(), out)];
    int[] inputSegments = new int[inputs.length];
    int[] targetSegments = new int[targets.length];
    for (int r = 0; r < rows.size(); r++) {
      int i = r * in;
      int t = r * out;
      int segment = 1;
      for (TokenPair pair : rows.get(r)) {
        i = put(pair.inputs(), inputs, inputSegments, i, segment);
        t = put(pair.targets(), targets, targetSegments, t, segment);
        segment++;
      }
    }
    return new PromptedBatch(
        rows.size(),
        in,
        out,
        inputs,
        targets,
        shifted(targets, out, packed ? targetSegments : null),
        packed ? inputSegments : null,
        packed ? targetSegments : null,
        rows.stream().flatMap(List::stream).map(TokenPair::where).toList(),
        together);
  }

  private static int put(int[] ids, int[] into, int[] segments, int at, int segment) {
    System.arraycopy(ids, 0, into, at, ids.length);
    Arrays.fill(segments, at, at + ids.length, segment);
    return at + ids.length;
  }

  private static int[] shifted(int[] targets, int length, int @Nullable [] segments) {
    int[] shifted = new int[targets.length];
    for (int i = 0; i < shifted.length; i++) {
      boolean begins =
          i % length == 0
              || (segments != null && segments[i] != segments[i - 1])
              || (segments != null && segments[i] == 0);
      shifted[i] = begins ? 0 : targets[i - 1];
    }
    return shifted;
  }

  /** Positions within each segment of the inputs, from 0; 0 at padding. [rows, inputLength] */
  public int[] inputPositions() {
    return positions(inputs, inputSegments, inputLength);
  }

  /** Positions within each segment of the targets, from 0; 0 at padding. [rows, targetLength] */
  public int[] targetPositions() {
    return positions(targets, targetSegments, targetLength);
  }

  private static int[] positions(int[] ids, int @Nullable [] segments, int length) {
    int[] positions = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      boolean begins = i % length == 0 || (segments != null && segments[i] != segments[i - 1]);
      positions[i] = begins || ids[i] == 0 ? 0 : positions[i - 1] + 1;
    }
    return positions;
  }

  /** 1 at real targets, 0 at padding. [rows, targetLength] */
  public float[] lossWeights() {
    float[] weights = new float[targets.length];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = targets[i] != 0 ? 1 : 0;
    }
    return weights;
  }

  /**
   * Weights by which every example counts the same: one over the real targets of its segment, 0 at
   * padding. Their sum is {@link #examples}' number. [rows, targetLength]
   */
  public float[] weightsPerExample() {
    float[] weights = new float[targets.length];
    for (int from = 0; from < targets.length; ) {
      int row = from / targetLength;
      int to = from + 1;
      while (to < (row + 1) * targetLength
          && (targetSegments == null || targetSegments[to] == targetSegments[from])) {
        to++;
      }
      int real = (int) IntStream.range(from, to).filter(i -> targets[i] != 0).count();
      for (int i = from; i < to; i++) {
        weights[i] = targets[i] != 0 ? 1f / real : 0;
      }
      from = to;
    }
    return weights;
  }

  /** Inputs and targets that are no padding. */
  public long realTokens() {
    return IntStream.of(inputs).filter(id -> id != 0).count()
        + IntStream.of(targets).filter(id -> id != 0).count();
  }
}
