package io.moextend.eval;

import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import java.util.EnumSet;
import java.util.Set;

/**
 * What a trace computes beside the forward pass.
 *
 * @param trained roles that get gradients and are updated
 * @param gradients true to write grad.NAME of each, at the start weights, not clipped
 * @param adamSteps AdamW steps on the same batch; after.NAME and loss_after are written where it is
 *     positive
 * @param maxGradNorm 0 clips nothing
 * @param checkpointing run layers again in the backward pass
 */
public record TraceRequest(
    Set<Role> trained,
    boolean gradients,
    int adamSteps,
    double learningRate,
    double weightDecay,
    double maxGradNorm,
    boolean checkpointing) {
  public TraceRequest {
    trained = Set.copyOf(trained);
    if (adamSteps < 0) {
      throw new ConfigException("--adamw-steps", adamSteps, "must be 0 or more");
    }
    if (adamSteps > 0 && !(learningRate > 0)) {
      throw new ConfigException(
          "--learning-rate", learningRate, "must be positive with --adamw-steps");
    }
    if ((gradients || adamSteps > 0) && trained.isEmpty()) {
      throw new ConfigException("--gradients", true, "needs something that trains");
    }
  }

  /** The forward pass and the losses alone. */
  public static TraceRequest forward() {
    return new TraceRequest(Set.of(), false, 0, 0, 0, 0, false);
  }

  public static Set<Role> allRoles() {
    return EnumSet.allOf(Role.class);
  }
}
