package io.moextend.bench;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.eval.Greedy;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.KeyValueCache;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.function.Predicate;

/** A random Mixtral, as in scripts/bench/hf_generate_peer.py. */
public final class AnsweringMixtral implements AnsweringModel {
  private final Backend backend;
  private final DType dtype;
  private final DecoderConfig config;
  private final Arena arena;
  private final Decoder model;

  /**
   * @param positions of the longest prompt and answer
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  public AnsweringMixtral(Backend backend, GenerateSize size, DType dtype, int positions) {
    this.backend = backend;
    this.dtype = dtype;
    this.config = size.config(positions);
    this.arena = backend.arena("weights");
    this.model =
        new Decoder(
            new FreshParameters(backend, arena, dtype, Set.of(), config.initializerRange(), 0),
            config);
  }

  @Override
  public int vocab() {
    return config.vocab();
  }

  @Override
  public void answer(int[] prompt, int most, IntConsumer seen) {
    new Greedy(backend, model).extend(prompt, null, most, token -> false, seen);
  }

  @Override
  public long weightBytesOfAToken() {
    long all = bytes(p -> p.rank() == 2 && !p.name().contains("embed_tokens"));
    if (!(config.feedForward() instanceof FeedForwardConfig.Experts experts)) {
      return all;
    }
    long ofExperts = bytes(p -> p.name().contains(".experts."));
    return all - ofExperts + ofExperts / experts.count() * experts.topK();
  }

  private long bytes(Predicate<Parameter> which) {
    return model.parameters().stream()
        .filter(which)
        .mapToLong(p -> p.size() * p.dtype().bytes())
        .sum();
  }

  @Override
  public long cacheBytes(int prompt, int most) {
    return KeyValueCache.bytes(config, dtype, prompt + most);
  }

  @Override
  public void close() {
    model.close();
    arena.close();
  }
}
