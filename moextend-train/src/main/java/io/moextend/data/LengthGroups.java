package io.moextend.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * An order in which the samples of a step are alike: all with images or all without, and of like
 * length, so that little is padded. Shuffled samples of either kind are cut into the samples of one
 * step, these are dealt to its micro-batches so that each has as many words, and the steps are
 * shuffled. What does not fill a step stands at the epoch's end, in the file's order.
 *
 * @param lengths of the samples, as {@link Sample#modalityLength} tells them
 * @param rows samples of one rank's micro-batch
 * @param parts micro-batches of one step over all ranks: ranks times accumulation
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, published bunny/bunny_trainer.py,
 *     get_modality_length_grouped_indices
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record LengthGroups(int[] lengths, int rows, int parts) {
  public LengthGroups {
    if (rows < 1 || parts < 1) {
      throw new DataException(
          "rows=%d, micro-batches of a step=%d: both must be at least 1".formatted(rows, parts));
    }
    Math.multiplyExact(rows, parts);
    for (int i = 0; i < lengths.length; i++) {
      if (lengths[i] == 0) {
        throw new DataException(
            "sample %d has the length 0; count at least one word".formatted(i + 1));
      }
    }
  }

  /**
   * @param epoch its samples follow those of the epochs before without a gap: it begins with as
   *     many of the rest as their last step is short of, so that its own steps are whole
   */
  int[] order(Shuffle shuffle, long epoch) {
    int step = rows * parts;
    List<int[]> steps = new ArrayList<>();
    IntStream.Builder alone = IntStream.builder();
    for (boolean pictured : new boolean[] {true, false}) {
      int[] kind =
          IntStream.range(0, lengths.length).filter(i -> lengths[i] > 0 == pictured).toArray();
      shuffle.apply(kind);
      int whole = kind.length - kind.length % step;
      for (int at = 0; at < whole; at += step) {
        steps.add(dealt(Arrays.copyOfRange(kind, at, at + step)));
      }
      Arrays.stream(kind, whole, kind.length).forEach(alone::add);
    }
    int[] turn = IntStream.range(0, steps.size()).toArray();
    shuffle.apply(turn);
    int[] rest = alone.build().toArray();
    int missing = missing(epoch, step);
    int whole = turn.length;
    if (rest.length < missing && whole > 0) {
      whole--;
      rest = IntStream.concat(Arrays.stream(rest), Arrays.stream(steps.get(turn[whole]))).toArray();
    }
    Arrays.sort(rest);
    IntStream own = Arrays.stream(turn, 0, whole).flatMap(i -> Arrays.stream(steps.get(i)));
    int first = Math.min(missing, rest.length);
    return IntStream.concat(
            IntStream.concat(Arrays.stream(rest, 0, first), own),
            Arrays.stream(rest, first, rest.length))
        .toArray();
  }

  /** Samples that the last step of the epochs before lacks. */
  private int missing(long epoch, int step) {
    long begun = epoch % step * (lengths.length % step) % step;
    return (int) ((step - begun) % step);
  }

  /** A step's samples, micro-batch after micro-batch; each in turn goes to the shortest so far. */
  private int[] dealt(int[] step) {
    int[] longestFirst =
        Arrays.stream(step)
            .boxed()
            .sorted(Comparator.comparingInt((Integer i) -> -Math.abs(lengths[i])))
            .mapToInt(Integer::intValue)
            .toArray();
    int[] out = new int[step.length];
    int[] taken = new int[parts];
    long[] words = new long[parts];
    for (int sample : longestFirst) {
      int to = 0;
      for (int part = 1; part < parts; part++) {
        if (words[part] < words[to]) {
          to = part;
        }
      }
      out[to * rows + taken[to]] = sample;
      taken[to]++;
      words[to] = taken[to] == rows ? Long.MAX_VALUE : words[to] + Math.abs(lengths[sample]);
    }
    return out;
  }
}
