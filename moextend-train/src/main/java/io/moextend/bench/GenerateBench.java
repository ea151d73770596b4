package io.moextend.bench;

import io.moextend.config.ConfigException;
import java.util.random.RandomGeneratorFactory;

/**
 * A random model and one random prompt, answered greedily again and again: the work of
 * scripts/bench/hf_generate_peer.py.
 */
public final class GenerateBench {
  private static final double NANOS = 1e9;

  /** Behind padding and end, which mean something to some models. */
  private static final int FIRST_TOKEN = 2;

  private final AnsweringModel model;
  private final int[] prompt;
  private final int tokens;

  /**
   * @param model closed by the caller
   * @param prompt tokens before the first new one
   * @param tokens new ones behind the first new one
   */
  public GenerateBench(AnsweringModel model, int prompt, int tokens) {
    requirePositive(prompt, tokens);
    this.model = model;
    this.tokens = tokens;
    this.prompt =
        RandomGeneratorFactory.of("L64X128MixRandom")
            .create(0)
            .ints(prompt, FIRST_TOKEN, model.vocab())
            .toArray();
  }

  /**
   * @throws ConfigException naming the option that is not
   */
  public static void requirePositive(int prompt, int tokens) {
    if (prompt < 1) {
      throw new ConfigException("--prompt", prompt, "must be at least 1");
    }
    if (tokens < 1) {
      throw new ConfigException("--tokens", tokens, "must be at least 1");
    }
  }

  /**
   * @param prefillSeconds from the prompt to the first new token
   * @param decodeSeconds for the {@code tokens} behind it
   */
  public record Timing(double prefillSeconds, double decodeSeconds) {}

  /**
   * One answer.
   *
   * @param atFirst called when the first new token is there
   */
  public Timing run(Runnable atFirst) {
    long[] times = new long[2]; // of the first new token and the last
    long start = System.nanoTime();
    model.answer(
        prompt,
        tokens + 1,
        token -> {
          times[1] = System.nanoTime();
          if (times[0] == 0) {
            atFirst.run();
            times[0] = times[1];
          }
        });
    return new Timing((times[0] - start) / NANOS, (times[1] - times[0]) / NANOS);
  }

  /** Bytes of the matrices that a new token has to be multiplied with. */
  public long weightBytesOfAToken() {
    return model.weightBytesOfAToken();
  }

  /** Bytes of keys and values. */
  public long cacheBytes() {
    return model.cacheBytes(prompt.length, tokens + 1);
  }
}
