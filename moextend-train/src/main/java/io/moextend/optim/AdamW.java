package io.moextend.optim;

import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.backend.UpdateKernels.AdamStep;
import io.moextend.config.ConfigException;
import java.util.List;

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
  public boolean elementwise() {
    return true;
  }

  @Override
  public List<String> stateNames() {
    return List.of("exp_avg", "exp_avg_sq");
  }

  @Override
  public void update(Backend backend, Array master, Array gradient, List<Array> state, Step how) {
    backend.adamInto(master, state.get(0), state.get(1), gradient, step(how));
  }

  @Override
  public void update(
      Backend backend, Array weights, Array master, Array gradient, List<Array> state, Step how) {
    backend.adamInto(weights, master, state.get(0), state.get(1), gradient, step(how));
  }

  private AdamStep step(Step how) {
    double decay = how.decays() ? weightDecay : 0;
    return new AdamStep(
        how.step(), how.learningRate(), beta1, beta2, eps, decay, how.gradientScale());
  }
}
