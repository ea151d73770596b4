package io.moextend.optim;

import io.moextend.config.ConfigException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * T5X's schedule: a product of factors, each a function of the step counter, which goes on from the
 * restored checkpoint's.
 *
 * @param base what {@link Factor#CONSTANT} and {@link Factor#LINEAR_DECAY} are multiplied by
 * @param warmup steps; at least 1 where a factor divides by it
 * @param firstStep the counter at the first step
 * @param decayFactor of {@link Factor#DECAY_EVERY} each time, of {@link Factor#LINEAR_DECAY} a step
 * @param stepsPerDecay steps between two decays
 * @param stepsPerCycle steps of a cosine
 * @param least rate, whatever the factors say
 */
public record FactorSchedule(
    double base,
    List<Factor> factors,
    int warmup,
    long firstStep,
    double decayFactor,
    int stepsPerDecay,
    int stepsPerCycle,
    double least)
    implements Schedule {
  private static final String FIELD = "factors";

  /** Known by their names in lower case. */
  public enum Factor {
    CONSTANT,
    /** Up to 1, from 0 at counter 0. */
    LINEAR_WARMUP,
    /** The base, up like a warm-up and then down in a straight line. */
    LINEAR_DECAY,
    /** 1 / √counter, once warm. */
    RSQRT_DECAY,
    /** The same, 1 at the end of the warm-up. */
    RSQRT_NORMALIZED_DECAY,
    DECAY_EVERY,
    /** Half a cosine again and again. */
    COSINE_DECAY;

    private boolean needsWarmup() {
      return this != CONSTANT && this != DECAY_EVERY && this != COSINE_DECAY;
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  public FactorSchedule {
    factors = List.copyOf(factors);
    if (warmup < 1 && factors.stream().anyMatch(Factor::needsWarmup)) {
      throw new ConfigException(
          "warmup_steps", warmup, "must be at least 1 for " + factors + ", which divides by it");
    }
    if (warmup < 0 || firstStep < 0) {
      throw new ConfigException("first_step", firstStep, "steps must not be negative");
    }
    requirePositive("steps_per_decay", stepsPerDecay);
    requirePositive("steps_per_cycle", stepsPerCycle);
  }

  private static void requirePositive(String field, int steps) {
    if (steps < 1) {
      throw new ConfigException(field, steps, "must be at least 1");
    }
  }

  /**
   * @param product "constant * linear_warmup * rsqrt_decay"
   * @throws ConfigException where a factor is unknown, or linear_decay has company that it is made
   *     of
   */
  public static List<Factor> parse(String product) {
    var factors = new ArrayList<Factor>();
    for (String name : product.split("\\*", -1)) {
      factors.add(
          Arrays.stream(Factor.values())
              .filter(f -> f.toString().equals(name.strip()))
              .findFirst()
              .orElseThrow(() -> new ConfigException(FIELD, product, known(name))));
    }
    if (factors.contains(Factor.LINEAR_DECAY)
        && (factors.contains(Factor.CONSTANT) || factors.contains(Factor.LINEAR_WARMUP))) {
      throw new ConfigException(
          FIELD, product, "linear_decay is constant and linear_warmup too; leave those out");
    }
    return List.copyOf(factors);
  }

  private static String known(String name) {
    return "there is no factor '%s'; known are %s, with * between them"
        .formatted(
            name.strip(),
            Arrays.stream(Factor.values()).map(Factor::toString).collect(Collectors.joining(", ")));
  }

  @Override
  public double at(int step) {
    if (step < 1) {
      throw new IllegalArgumentException("step=" + step + ", steps count from 1");
    }
    long counter = firstStep + step - 1;
    double rate = 1;
    for (Factor factor : factors) {
      rate *= at(factor, counter);
    }
    return Math.max(rate, least);
  }

  private double at(Factor factor, long counter) {
    return switch (factor) {
      case CONSTANT -> base;
      case LINEAR_WARMUP -> Math.min(1, (double) counter / warmup);
      case LINEAR_DECAY ->
          base * Math.min((double) counter / warmup, 1 + decayFactor * (warmup - counter));
      case RSQRT_DECAY -> 1 / Math.sqrt(Math.max(counter, warmup));
      case RSQRT_NORMALIZED_DECAY -> Math.sqrt((double) warmup / Math.max(counter, warmup));
      case DECAY_EVERY -> Math.pow(decayFactor, counter / stepsPerDecay);
      case COSINE_DECAY -> {
        double cycles = Math.max(0, (double) (counter - warmup) / stepsPerCycle);
        yield 0.5 * (1 + Math.cos(Math.PI * (cycles - Math.floor(cycles))));
      }
    };
  }
}
