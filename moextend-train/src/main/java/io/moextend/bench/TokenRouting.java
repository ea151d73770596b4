package io.moextend.bench;

import io.moextend.config.ConfigException;
import java.util.Arrays;
import java.util.Locale;

/** Which experts the tokens of a timed step go to. */
public enum TokenRouting {
  /** Those that the random router chooses. */
  ROUTER,
  /** All experts in turn. */
  BALANCED,
  /** The first expert gets every token; second choices take the others in turn. */
  ONE_EXPERT,
  /** All but the last in turn, which gets none. */
  EMPTY_EXPERT;

  /**
   * @throws ConfigException where there is no such routing
   */
  public static TokenRouting named(String name) {
    return Arrays.stream(values())
        .filter(r -> r.toString().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException("--routing", name, "use one of " + Arrays.toString(values())));
  }

  /**
   * The choice of each token, [tokens, k].
   *
   * @param experts at least k + 1
   */
  int[] choices(int tokens, int k, int experts) {
    int[] chosen = new int[tokens * k];
    for (int i = 0; i < chosen.length; i++) {
      int turn = i / k * (k - 1) + i % k - 1; // counts second choices alone
      chosen[i] =
          switch (this) {
            case ROUTER -> throw new IllegalStateException("the router chooses");
            case BALANCED -> i % experts;
            case ONE_EXPERT -> i % k == 0 ? 0 : 1 + turn % (experts - 1);
            case EMPTY_EXPERT -> i % (experts - 1);
          };
    }
    return chosen;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
