package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels.Weighting;
import io.moextend.op.Rows;
import io.moextend.op.WeightedCrossEntropy;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy of real targets with a z-loss, as T5X takes it. The head runs on real targets only.
 *
 * @param zLoss what the square of ln Σ e^logit counts
 * @param smoothing label smoothing
 */
public record T5Loss(Normalizer normalizer, double zLoss, double smoothing) {
  /** What the published runs train with. */
  public static final T5Loss PUBLISHED = new T5Loss(Normalizer.AVERAGE_PER_SEQUENCE, 1e-4, 0);

  /** Rows of logits that a score has in memory at once. */
  private static final int AT_ONCE = 512;

  /** What the sum over tokens is divided by, and what each token weighs. */
  public enum Normalizer {
    /** By nothing. */
    NONE,
    /** By the number of real targets. */
    REAL_TOKENS,
    /** By the number of targets, padding with them. */
    TOTAL_TOKENS,
    /**
     * Each target weighs 1 / real targets of its example; by the sum of weights, which is the
     * number of examples.
     */
    AVERAGE_PER_SEQUENCE
  }

  /**
   * The real targets of a batch.
   *
   * @param rows [R] I32, rows of the decoder's output; where there is no real target one that is
   *     ignored, since kernels want rows
   * @param ids [R] I32
   * @param weights [R] wide
   * @param count R; 0 where there is none
   * @param denominator what this batch adds to what the sum is divided by: over all micro-batches
   *     and ranks of a step these are summed. For {@link Normalizer#NONE} 0: divide by 1
   */
  public record Targets(Array rows, Array ids, Array weights, int count, double denominator) {}

  /**
   * @param total [1] wide, the z-loss with it
   * @param zLoss [1] wide
   */
  public record Terms(Tensor total, Array zLoss) {}

  /**
   * @param pad the padding token
   * @param wide the wide type of the model's
   */
  public Targets targets(Backend backend, Arena arena, T5Batch batch, int pad, DType wide) {
    int[] all = batch.targets();
    int[] rows = real(all, pad);
    double[] weights = weights(batch, rows);
    double denominator =
        switch (normalizer) {
          case NONE -> 0;
          case REAL_TOKENS -> rows.length;
          case TOTAL_TOKENS -> all.length;
          case AVERAGE_PER_SEQUENCE -> DoubleStream.of(weights).sum();
        };
    boolean none = rows.length == 0;
    int[] at = none ? new int[1] : rows;
    int[] ids = none ? new int[] {-1} : IntStream.of(rows).map(row -> all[row]).toArray();
    return new Targets(
        backend.ints(arena, at, at.length),
        backend.ints(arena, ids, ids.length),
        backend.doubles(arena, wide, none ? new double[1] : weights, at.length),
        rows.length,
        denominator);
  }

  private static int[] real(int[] targets, int pad) {
    return IntStream.range(0, targets.length).filter(at -> targets[at] != pad).toArray();
  }

  private double[] weights(T5Batch batch, int[] rows) {
    if (normalizer != Normalizer.AVERAGE_PER_SEQUENCE) {
      return IntStream.of(rows).mapToDouble(row -> 1).toArray();
    }
    Map<Integer, Integer> lengths = new HashMap<>();
    for (int row : rows) {
      lengths.merge(example(batch, row), 1, Integer::sum);
    }
    return IntStream.of(rows)
        .mapToDouble(row -> 1.0 / lengths.getOrDefault(example(batch, row), 1))
        .toArray();
  }

  /** A number for the example a target belongs to. */
  private static int example(T5Batch batch, int row) {
    int @Nullable [] segments = batch.targetSegments();
    int segment = segments == null ? 0 : segments[row];
    return row / batch.targetLength() * (T5Batch.MOST_SEGMENTS + 1) + segment;
  }

  /**
   * @param decoder {@link T5.Output#decoder}
   * @param denominator of the whole step, or of this batch alone: {@link Targets#denominator}; 0
   *     divides by 1
   */
  public Terms of(Tape tape, T5 model, Tensor decoder, Targets targets, double denominator) {
    double by = denominator == 0 || targets.count == 0 ? 1 : denominator;
    var weighting = new Weighting(targets.weights, zLoss, smoothing, by);
    return tape.scope(
        s -> {
          Tensor hidden = Rows.gather(tape, decoder, targets.rows);
          Tensor logits = model.logits(tape, hidden);
          var loss = WeightedCrossEntropy.apply(tape, logits, targets.ids, weighting);
          return new Terms(s.keep(loss.loss()), s.keep(loss.zLoss()));
        });
  }

  /**
   * How likely the model finds each row's targets: the sum of their log-probabilities, the end
   * token's with it, not divided by their number.
   *
   * @param decoder {@link T5.Output#decoder} of a batch whose rows are one example each
   * @return a number for each row
   */
  public static double[] scores(Tape tape, T5 model, Tensor decoder, T5Batch batch) {
    if (batch.targetSegments() != null) {
      throw new IllegalArgumentException("rows of several examples have no score each");
    }
    int[] real = real(batch.targets(), model.config().tokens().pad());
    double[] scores = new double[batch.rows()];
    for (int from = 0; from < real.length; from += AT_ONCE) {
      int[] rows = IntStream.of(real).skip(from).limit(AT_ONCE).toArray();
      float[] lost = lost(tape, model, decoder, batch, rows);
      for (int i = 0; i < rows.length; i++) {
        scores[rows[i] / batch.targetLength()] -= lost[i];
      }
    }
    return scores;
  }

  private static float[] lost(Tape tape, T5 model, Tensor decoder, T5Batch batch, int[] rows) {
    Backend backend = tape.backend();
    Arena arena = tape.arena();
    return tape.scope(
        s -> {
          int[] ids = IntStream.of(rows).map(row -> batch.targets()[row]).toArray();
          Array wanted = backend.ints(arena, ids, ids.length);
          Array at = backend.ints(arena, rows, rows.length);
          Tensor logits = model.logits(tape, Rows.gather(tape, decoder, at));
          return backend.toFloats(
              arena, backend.crossEntropy(arena, logits.data(), wanted, 1).perRow());
        });
  }
}
