package io.moextend.optim;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.UpdateKernels.AdamStep;
import io.moextend.config.ConfigException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Adam with decoupled weight decay, as torch.optim.AdamW computes it.
 *
 * @see <a href="https://arxiv.org/abs/1711.05101">Decoupled Weight Decay Regularization</a>
 */
public record AdamW(double beta1, double beta2, double eps, double weightDecay)
    implements UpdateRule {
  /** What every published MoExtend run used. */
  public static final AdamW PUBLISHED = new AdamW(0.9, 0.999, 1e-8, 0);

  public AdamW {
    requireBeta("adam_beta1", beta1);
    requireBeta("adam_beta2", beta2);
    if (!(eps > 0)) {
      throw new ConfigException("adam_epsilon", eps, "must be greater than 0");
    }
    if (!(weightDecay >= 0)) {
      throw new ConfigException("weight_decay", weightDecay, "must not be negative");
    }
  }

  private static void requireBeta(String name, double value) {
    if (!(value >= 0 && value < 1)) {
      throw new ConfigException(name, value, "must be at least 0 and less than 1");
    }
  }

  @Override
  public List<State> state(Parameter parameter) {
    return List.of(State.like(parameter, "exp_avg"), State.like(parameter, "exp_avg_sq"));
  }

  @Override
  public int sums() {
    return 0;
  }

  @Override
  public void update(Backend backend, Target target, @Nullable Array sums, Step how) {
    List<Array> state = target.state();
    backend.adamInto(target.master(), state.get(0), state.get(1), target.gradient(), step(how));
  }

  @Override
  public void update(
      Backend backend, Array weights, Target target, @Nullable Array sums, Step how) {
    List<Array> state = target.state();
    backend.adamInto(
        weights, target.master(), state.get(0), state.get(1), target.gradient(), step(how));
  }

  private AdamStep step(Step how) {
    double decay = how.decays() ? weightDecay : 0;
    return new AdamStep(
        how.step(), how.learningRate(), beta1, beta2, eps, decay, how.gradientScale());
  }
}
