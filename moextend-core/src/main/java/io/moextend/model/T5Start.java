package io.moextend.model;

import io.moextend.config.T5Config;
import java.util.function.ToDoubleFunction;
import java.util.random.RandomGenerator;

/**
 * How the weights of a T5 start that was never trained, as in Flaxformer's T5 1.1. What has another
 * name, as an adapter's, is drawn with a standard deviation of 0.02.
 */
public record T5Start(T5Config config) implements FreshParameters.Draws {
  private static final double ADAPTER = 0.02;

  /** Standard deviation of a normal distribution that is cut at 2 of its own. */
  private static final double CUT = 0.87962566;

  @Override
  public ToDoubleFunction<RandomGenerator> of(String name, long... shape) {
    if (name.equals(T5Names.EMBEDDING)) {
      return normal(1);
    }
    if (name.endsWith(".relative_attention_bias.weight")) {
      double most = Math.sqrt(6.0 / (shape[0] + shape[1]));
      return random -> (2 * random.nextDouble() - 1) * most;
    }
    boolean matrix = shape.length == 2 && name.endsWith(".weight");
    double spread = matrix ? 1 / Math.sqrt(shape[1]) : ADAPTER;
    if (matrix && (name.equals(T5Names.HEAD) || name.contains(".DenseReluDense."))) {
      return random -> cut(random) * spread / CUT;
    }
    // scores are not scaled, so that the query is
    boolean query = matrix && name.endsWith("Attention.q.weight");
    return normal(query ? spread / Math.sqrt(config.headSize()) : spread);
  }

  private static ToDoubleFunction<RandomGenerator> normal(double spread) {
    return random -> random.nextGaussian() * spread;
  }

  private static double cut(RandomGenerator random) {
    double drawn = random.nextGaussian();
    while (Math.abs(drawn) > 2) {
      drawn = random.nextGaussian();
    }
    return drawn;
  }
}
