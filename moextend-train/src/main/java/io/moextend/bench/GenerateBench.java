package io.moextend.bench;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.eval.Greedy;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.KeyValueCache;
import java.util.Set;
import java.util.random.RandomGeneratorFactory;

/**
 * A random model and one random prompt, continued greedily again and again: the work of
 * scripts/bench/hf_generate_peer.py.
 */
public final class GenerateBench implements AutoCloseable {
  private static final double NANOS = 1e9;

  private final Backend backend;
  private final DType dtype;
  private final DecoderConfig config;
  private final Arena arena;
  private final Decoder model;
  private final int[] prompt;
  private final int tokens;

  /**
   * @param prompt tokens before the first new one
   * @param tokens new ones behind the first new one
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  public GenerateBench(Backend backend, GenerateSize size, DType dtype, int prompt, int tokens) {
    if (prompt < 1) {
      throw new ConfigException("--prompt", prompt, "must be at least 1");
    }
    if (tokens < 1) {
      throw new ConfigException("--tokens", tokens, "must be at least 1");
    }
    this.backend = backend;
    this.dtype = dtype;
    this.tokens = tokens;
    this.config = size.config(Math.addExact(prompt, Math.addExact(tokens, 1)));
    this.arena = backend.arena("weights");
    this.model =
        new Decoder(
            new FreshParameters(backend, arena, dtype, Set.of(), config.initializerRange(), 0),
            config);
    this.prompt =
        RandomGeneratorFactory.of("L64X128MixRandom")
            .create(0)
            .ints(prompt, 0, size.vocab())
            .toArray();
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
    new Greedy(backend, model)
        .extend(
            prompt,
            null,
            tokens + 1,
            token -> false,
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
    long all =
        model.parameters().stream()
            .filter(p -> p.rank() == 2 && !p.name().contains("embed_tokens"))
            .mapToLong(GenerateBench::bytes)
            .sum();
    if (!(config.feedForward() instanceof FeedForwardConfig.Experts experts)) {
      return all;
    }
    long ofExperts =
        model.parameters().stream()
            .filter(p -> p.name().contains(".experts."))
            .mapToLong(GenerateBench::bytes)
            .sum();
    return all - ofExperts + ofExperts / experts.count() * experts.topK();
  }

  private static long bytes(Parameter parameter) {
    return parameter.size() * parameter.dtype().bytes();
  }

  /** Bytes of keys and values. */
  public long cacheBytes() {
    return KeyValueCache.bytes(config, dtype, prompt.length + tokens + 1);
  }

  @Override
  public void close() {
    model.close();
    arena.close();
  }
}
