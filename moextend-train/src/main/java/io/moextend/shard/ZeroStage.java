package io.moextend.shard;

import io.moextend.config.ConfigException;

/**
 * What ranks share among themselves instead of each keeping all of it. Each stage shares what those
 * before it do.
 *
 * @see <a href="https://arxiv.org/abs/1910.02054">ZeRO</a>, section 5
 */
public enum ZeroStage {
  /** Nothing: gradients are summed, the rest is the same everywhere. */
  NONE,
  /** Masters and the update rule's state. */
  OPTIMIZER,
  /** Gradients. */
  GRADIENTS,
  /** Weights, gathered layer by layer; what is trained is shared as in {@link #GRADIENTS}. */
  WEIGHTS;

  /** 0 to 3. */
  public int number() {
    return ordinal();
  }

  /**
   * @throws ConfigException where there is no such stage
   */
  public static ZeroStage of(int number) {
    if (number < 0 || number >= values().length) {
      throw new ConfigException("zero_stage", number, "must be 0, 1, 2 or 3");
    }
    return values()[number];
  }

  boolean sharesState() {
    return this != NONE;
  }

  boolean sharesGradients() {
    return compareTo(GRADIENTS) >= 0;
  }
}
