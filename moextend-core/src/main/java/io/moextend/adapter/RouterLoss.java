package io.moextend.adapter;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.op.Add;
import io.moextend.op.BalanceLoss;
import io.moextend.op.Route;
import io.moextend.op.RouterZ;
import io.moextend.op.Rows;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What a config adds to the loss for its routers: load balancing and z-loss, each a mean over
 * sites.
 *
 * <p>The original's code has two such losses that nothing calls, and its load-balancing loss is a
 * constant without a mask of choices: the mean over experts of their mean share. Here it is the
 * Switch Transformer's, E·Σ_e f_e·P_e with f_e the part of rows that have expert e among their topK
 * largest (of soft routing: as their largest), divided by topK, and P_e its mean share before the
 * choice; at least about 1 where all experts are used alike. The z-loss is the mean over rows of
 * (logsumexp of the logits)².
 *
 * @see <a href="https://arxiv.org/abs/2101.03961">Switch Transformer</a>, eq. 4-6
 * @see <a href="https://arxiv.org/abs/2202.08906">ST-MoE</a>, eq. 5
 */
public final class RouterLoss {
  private RouterLoss() {}

  /**
   * What one router said in a pass.
   *
   * @param logits [T, E] wide, or [T·heads, E]
   * @param tokens how many there are of T; what stands at one token has neighbouring rows
   * @param real the tokens that count, ascending; null = all
   */
  @SuppressWarnings("ArrayRecordComponent") // compared nowhere
  public record Said(String module, Tensor logits, int tokens, int @Nullable [] real) {
    public Said {
      if (tokens < 1 || logits.data().dim(0) % tokens != 0) {
        throw new IllegalArgumentException(
            "%s: %s is no multiple of %d tokens".formatted(module, logits.data(), tokens));
      }
    }

    /** Whose rows all count. */
    public static Said all(String module, Tensor logits) {
      return new Said(module, logits, 1, null);
    }

    private Tensor counted(Tape tape) {
      if (real == null) {
        return logits;
      }
      int each = Math.toIntExact(logits.data().dim(0) / tokens);
      int[] rows =
          Arrays.stream(real).flatMap(t -> IntStream.range(t * each, (t + 1) * each)).toArray();
      return Rows.gather(tape, logits, tape.backend().ints(tape.arena(), rows, rows.length));
    }
  }

  /**
   * @return [1] wide with coefficients in it, null where the config asks for nothing or no router
   *     has a row that counts
   */
  public static @Nullable Tensor of(Tape tape, AdapterConfig config, List<Said> routers) {
    if (config.balance() == 0 && config.routerZ() == 0) {
      return null;
    }
    List<Tensor> logits =
        routers.stream().map(said -> said.counted(tape)).filter(l -> l.data().dim(0) > 0).toList();
    Tensor sum = null;
    for (Tensor each : logits) {
      Tensor loss = ofSite(tape, config, each, logits.size());
      sum = sum == null ? loss : Add.apply(tape, sum, loss);
    }
    return sum;
  }

  private static Tensor ofSite(Tape tape, AdapterConfig config, Tensor logits, int sites) {
    Tensor z = RouterZ.apply(tape, logits, config.routerZ() / sites);
    if (config.balance() == 0) {
      return z;
    }
    Tensor p = Route.probabilities(tape, logits);
    int k = Math.max(1, config.topK());
    Array chosen = tape.backend().topK(tape.arena(), p.data(), k);
    double factor = config.balance() * config.experts() / k / sites;
    Tensor balance =
        BalanceLoss.apply(tape, List.of(p), List.of(chosen), null, BalanceForm.PER_LAYER, factor);
    return config.routerZ() == 0 ? balance : Add.apply(tape, balance, z);
  }
}
