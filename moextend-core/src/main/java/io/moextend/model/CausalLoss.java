package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.op.Add;
import io.moextend.op.BalanceLoss;
import io.moextend.op.CrossEntropy;
import io.moextend.op.Rows;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Mean cross-entropy over labelled positions + coefficient · load-balancing loss. The head runs on
 * labelled positions only.
 *
 * @param form which published balance loss; {@link #published} knows which model used which
 * @param coefficient of the balance loss; 0 leaves it out
 */
public record CausalLoss(BalanceForm form, double coefficient) {
  /**
   * The loss the published code trains this model with: an extended model's layers taken one by one
   * (MoExtend), any other mixture pooled (Hugging Face).
   */
  public static CausalLoss published(DecoderConfig config) {
    return switch (config.feedForward()) {
      case FeedForwardConfig.Dense d -> new CausalLoss(BalanceForm.POOLED, 0);
      case FeedForwardConfig.Experts e ->
          new CausalLoss(
              e.extendedLayers().isEmpty() ? BalanceForm.POOLED : BalanceForm.PER_LAYER,
              e.balanceCoefficient());
    };
  }

  /**
   * Where the loss is taken: the hidden state of row r predicts target r.
   *
   * @param rows [R] I32, rows of the T tokens, each the position before a labelled one
   * @param targets [R] I32
   * @param count R; 0 where a batch has no label
   */
  public record Labels(Array rows, Array targets, int count) {
    /**
     * Every labelled position but a row's first, which nothing predicts. Without any, one position
     * that is ignored, since kernels want rows.
     *
     * @param labels [batch, length], negative where nothing is learnt
     */
    public static Labels of(Backend backend, Arena arena, int[] labels, int length) {
      int[] labelled =
          IntStream.range(0, labels.length)
              .filter(at -> at % length != 0 && labels[at] >= 0)
              .toArray();
      int count = labelled.length;
      int[] before = count == 0 ? new int[1] : new int[count];
      int[] targets = count == 0 ? new int[] {-100} : new int[count];
      for (int i = 0; i < count; i++) {
        before[i] = labelled[i] - 1;
        targets[i] = labels[labelled[i]];
      }
      return new Labels(
          backend.ints(arena, before, before.length),
          backend.ints(arena, targets, targets.length),
          count);
    }
  }

  /**
   * Scalars [1], wide.
   *
   * @param aux null where the model routes nothing or the coefficient is 0
   */
  public record Terms(Tensor total, Tensor languageModel, @Nullable Tensor aux) {}

  /**
   * @param output of all rows, or of the labels' rows alone
   * @param balanceMask [T] U8, 0 where a token does not count for balance; null = all count
   */
  public Terms of(
      Tape tape, Decoder model, Decoder.Output output, Labels labels, @Nullable Array balanceMask) {
    if (output.rows() != null && output.rows() != labels.rows()) {
      throw new IllegalArgumentException("the model was asked for other rows than are labelled");
    }
    Tensor lm =
        tape.scope(
            s -> {
              Tensor hidden =
                  output.rows() == null
                      ? Rows.gather(tape, output.hidden(), labels.rows())
                      : output.hidden();
              Tensor logits = model.logits(tape, hidden);
              return s.keep(
                  CrossEntropy.apply(tape, logits, labels.targets(), Math.max(1, labels.count())));
            });
    if (output.routings().isEmpty() || coefficient == 0) {
      return new Terms(lm, lm, null);
    }
    Tensor aux = balance(tape, output.routings(), balanceMask);
    return new Terms(Add.scaled(tape, lm, aux, coefficient), lm, aux);
  }

  private Tensor balance(Tape tape, List<Routing> routings, @Nullable Array mask) {
    return BalanceLoss.apply(
        tape,
        routings.stream().map(Routing::probabilities).toList(),
        routings.stream().map(Routing::chosen).toList(),
        mask,
        form,
        factor(routings));
  }

  /**
   * The largest number of experts of any layer: MoExtend's config counts the added one for all
   * layers.
   */
  private static double factor(List<Routing> routings) {
    return routings.stream().mapToLong(r -> r.probabilities().data().dim(1)).max().orElse(0);
  }
}
