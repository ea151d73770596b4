package io.moextend.stage;

import io.moextend.config.ConfigException;
import io.moextend.moe.TokenGroup;

/**
 * Neighbouring experts of a layer that are there for the same thing.
 *
 * @param name what for, such as "vision-intra"
 * @param first the first expert
 * @param experts how many
 * @param tokens those that can choose them
 */
public record ExpertGroup(String name, int first, int experts, TokenGroup tokens) {
  public ExpertGroup {
    if (first < 0 || experts < 1) {
      throw new ConfigException(
          "group " + name,
          experts,
          "wants at least 1 expert from " + first + " on, counted from 0");
    }
  }

  /** The expert behind the last. */
  public int end() {
    return Math.addExact(first, experts);
  }

  /** Whether some of these tokens can choose it. */
  public boolean isOpenTo(TokenGroup some) {
    return some == TokenGroup.ALL || tokens == TokenGroup.ALL || tokens == some;
  }

  public boolean has(int expert) {
    return expert >= first && expert < end();
  }
}
