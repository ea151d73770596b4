package io.moextend.bench;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.config.T5Config;
import io.moextend.eval.T5Answer;
import io.moextend.model.FreshParameters;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Start;
import io.moextend.nn.Sites;
import java.util.function.IntConsumer;
import java.util.regex.Pattern;

/** A random T5 v1.1, as in scripts/bench/hf_generate_peer.py. */
public final class AnsweringT5 implements AnsweringModel {
  private static final Pattern EACH_TOKEN =
      Pattern.compile(
          "decoder\\..*(SelfAttention|DenseReluDense|EncDecAttention\\.[qo])\\b.*|lm_head.*");

  private final Backend backend;
  private final DType dtype;
  private final Arena arena;
  private final T5 model;

  /**
   * Its size.
   *
   * @param hidden d_model; heads are hidden / heads wide
   * @param width d_ff
   * @param layers of the encoder, and of the decoder
   */
  public record Size(int hidden, int width, int layers, int heads, int vocab) {
    /** What {@code --size} is where nobody says, as for training steps. */
    public static final Size USUAL = of(AdaptStepSize.USUAL);

    public Size {
      one(hidden, width, layers, heads, vocab);
    }

    /** Checks as well. */
    private static AdaptStepSize one(int hidden, int width, int layers, int heads, int vocab) {
      return new AdaptStepSize(hidden, width, layers, heads, vocab, 1, 1, 1);
    }

    private static Size of(AdaptStepSize size) {
      return new Size(size.hidden(), size.width(), size.layers(), size.heads(), size.vocab());
    }

    /**
     * @param text d_model,d_ff,layers,heads,vocab
     */
    public static Size parse(String text) {
      int[] n = BenchShape.numbers(text, 5, "d_model,d_ff,layers,heads,vocab, as in " + USUAL);
      return new Size(n[0], n[1], n[2], n[3], n[4]);
    }

    private T5Config config() {
      return one(hidden, width, layers, heads, vocab).config();
    }

    @Override
    public String toString() {
      return "%d,%d,%d,%d,%d".formatted(hidden, width, layers, heads, vocab);
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  public AnsweringT5(Backend backend, Size size, DType dtype) {
    this.backend = backend;
    this.dtype = dtype;
    this.arena = backend.arena("weights");
    T5Config config = size.config();
    var from =
        new FreshParameters(backend, arena, dtype, ParameterChoice.NONE, new T5Start(config), 0);
    this.model = new T5(from, config, Sites.NONE);
  }

  @Override
  public int vocab() {
    return model.config().vocab();
  }

  @Override
  public void answer(int[] prompt, int most, IntConsumer seen) {
    new T5Answer(backend, model).to(prompt, most, token -> false, seen);
  }

  @Override
  public long weightBytesOfAToken() {
    return model.parameters().stream()
        .filter(p -> p.rank() == 2 && EACH_TOKEN.matcher(p.name()).matches())
        .filter(p -> !p.name().contains("relative_attention_bias"))
        .mapToLong(p -> p.size() * p.dtype().bytes())
        .sum();
  }

  @Override
  public long cacheBytes(int prompt, int most) {
    T5Config config = model.config();
    return 2L * config.decoderLayers() * config.inner() * (prompt + most) * dtype.bytes();
  }

  @Override
  public void close() {
    model.close();
    arena.close();
  }
}
