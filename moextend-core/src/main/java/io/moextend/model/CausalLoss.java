package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import io.moextend.moe.Modalities;
import io.moextend.moe.Router.Window;
import io.moextend.moe.TokenGroup;
import io.moextend.op.Add;
import io.moextend.op.BalanceLoss;
import io.moextend.op.CrossEntropy;
import io.moextend.op.Rows;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Mean cross-entropy over labelled positions + coefficients · load-balancing losses, one for each
 * group of tokens that is routed by itself. The head runs on labelled positions only.
 *
 * @param form which published balance loss; {@link #published} knows which model used which
 * @param coefficients of the balance losses; one that is 0 or absent leaves its loss out
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, section 3.3, with two balance losses
 */
public record CausalLoss(BalanceForm form, Map<TokenGroup, Double> coefficients) {
  public CausalLoss {
    coefficients = Map.copyOf(coefficients);
  }

  /**
   * @param coefficient of the one balance loss of a model that routes all tokens alike
   */
  public CausalLoss(BalanceForm form, double coefficient) {
    this(form, Map.of(TokenGroup.ALL, coefficient));
  }

  /**
   * The loss the published code trains this model with: an extended model's layers taken one by one
   * (MoExtend), any other mixture pooled (Hugging Face, MoIIE).
   */
  public static CausalLoss published(DecoderConfig config) {
    return switch (config.feedForward()) {
      case FeedForwardConfig.Dense d -> new CausalLoss(BalanceForm.POOLED, 0);
      case FeedForwardConfig.Experts e ->
          new CausalLoss(
              e.extendedLayers().isEmpty() ? BalanceForm.POOLED : BalanceForm.PER_LAYER,
              e.balanceCoefficient());
      case FeedForwardConfig.Mixed mixed ->
          switch (mixed.scheme()) {
            case Scheme.Moiie m -> ofModalities(m.visionBalance(), m.textBalance());
            case Scheme.Vanilla v -> new CausalLoss(BalanceForm.POOLED, v.balance());
            case Scheme.Modality() -> new CausalLoss(BalanceForm.POOLED, 0);
            case Scheme.RoutedModality r -> ofModalities(r.visionBalance(), r.textBalance());
          };
    };
  }

  private static CausalLoss ofModalities(double vision, double text) {
    return new CausalLoss(
        BalanceForm.POOLED, Map.of(TokenGroup.VISION, vision, TokenGroup.TEXT, text));
  }

  /** The same groups, each balance loss with this weight. */
  public CausalLoss weighing(double coefficient) {
    var same = new EnumMap<TokenGroup, Double>(TokenGroup.class);
    coefficients.keySet().forEach(group -> same.put(group, coefficient));
    return new CausalLoss(form, same);
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
   * @param balances the load-balancing losses that are in the total, not weighted; of a group
   *     without tokens 0
   */
  public record Terms(Tensor total, Tensor languageModel, SortedMap<TokenGroup, Tensor> balances) {
    /** The one of all tokens; null where there is none. */
    public @Nullable Tensor aux() {
      return balances.get(TokenGroup.ALL);
    }
  }

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
    var balances = new TreeMap<TokenGroup, Tensor>();
    Tensor total = lm;
    List<Routing> routings = output.routings();
    List<Window> windows = routings.isEmpty() ? List.of() : routings.getFirst().windows();
    for (Window window : windows) {
      double coefficient = coefficients.getOrDefault(window.group(), 0.0);
      if (coefficient != 0) {
        Tensor balance = balance(tape, routings, window, balanceMask);
        balances.put(window.group(), balance);
        total = Add.scaled(tape, total, balance, coefficient);
      }
    }
    return new Terms(total, lm, balances);
  }

  /**
   * Over all columns: those outside the group's window have no share and no probability among its
   * tokens.
   */
  private Tensor balance(
      Tape tape, List<Routing> routings, Window window, @Nullable Array balanceMask) {
    Routing first = routings.getFirst();
    return BalanceLoss.apply(
        tape,
        routings.stream().map(Routing::probabilities).toList(),
        routings.stream().map(Routing::columns).toList(),
        counted(tape, first, window, balanceMask),
        form,
        window.group() == TokenGroup.ALL ? factor(routings) : window.columns());
  }

  /** [T] U8, 1 where a token of the group counts; null where all do. */
  private static @Nullable Array counted(
      Tape tape, Routing routing, Window window, @Nullable Array mask) {
    Modalities modalities = routing.modalities();
    if (window.group() == TokenGroup.ALL || modalities == null) {
      return mask;
    }
    Backend backend = tape.backend();
    byte[] all = new byte[modalities.tokens()];
    if (mask == null) {
      Arrays.fill(all, (byte) 1);
    } else {
      all = backend.toBytes(mask);
    }
    return backend.bytes(tape.arena(), modalities.among(window.group(), all), all.length);
  }

  /**
   * The largest number of experts of any layer: MoExtend's config counts the added one for all
   * layers.
   */
  private static double factor(List<Routing> routings) {
    return routings.stream().mapToLong(r -> r.probabilities().data().dim(1)).max().orElse(0);
  }
}
