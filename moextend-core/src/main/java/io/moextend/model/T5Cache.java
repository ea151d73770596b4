package io.moextend.model;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.config.T5Config;
import io.moextend.nn.Lookup;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a T5 keeps of one example that it answers: the keys and values that every decoder layer made
 * of the encoder's output, and those of the answer's tokens so far. {@link T5#read} makes it,
 * {@link T5#extend} goes on with it. Owns its memory. Not thread-safe.
 */
public final class T5Cache implements AutoCloseable {
  private final Backend backend;
  private final T5Config config;
  private final KeyValueCache answer;
  private final Arena arena;
  private final int inputLength;

  /** [1, inputs] U8, 0 at padding; null where there is none. */
  private final @Nullable Array seen;

  private final List<T5Attention.Pair> memory = new ArrayList<>();

  /**
   * @param inputs ids; padding among them is not seen
   * @param most tokens of the answer that it can hold, the start counted
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  T5Cache(Backend backend, T5Config config, DType dtype, int[] inputs, int most) {
    this.backend = backend;
    this.config = config;
    this.answer = new KeyValueCache(backend, dtype, config.decoderLayers(), config.inner(), most);
    this.arena = backend.arena("keys and values of an input");
    this.inputLength = inputs.length;
    this.seen = seen(inputs);
  }

  private @Nullable Array seen(int[] inputs) {
    byte[] real = new byte[inputs.length];
    boolean padded = false;
    for (int i = 0; i < real.length; i++) {
      boolean padding = inputs[i] == config.tokens().pad();
      real[i] = (byte) (padding ? 0 : 1);
      padded |= padding;
    }
    return padded ? backend.bytes(arena, real, 1, real.length) : null;
  }

  /** To be called for each decoder layer in turn; copies. */
  void add(T5Attention.Pair made) {
    memory.add(new T5Attention.Pair(copied(made.keys()), copied(made.values())));
  }

  private Tensor copied(Tensor made) {
    Array copy = arena.allocate(made.data().dtype(), made.data().shape());
    backend.copyInto(copy, made.data());
    return Tensor.constant(copy);
  }

  /** Tokens of the answer it holds, the start counted. */
  public int length() {
    return answer.length();
  }

  /** Tokens of the inputs. */
  public int inputLength() {
    return inputLength;
  }

  public long bytes() {
    return answer.bytes() + arena.liveBytes();
  }

  /** How a decoder layer looks at the inputs, and at the answer so far with {@code more} tokens. */
  T5Layer.Context in(int layer, int more) {
    Attention own = shape(more, more, true);
    Lookup ofInputs = Lookup.within(shape(more, inputLength, false), seen);
    return new T5Layer.Context(
        more,
        null,
        bias -> answer.lookup(layer, own, bias == null ? null : bias.data()),
        bias -> ofInputs,
        memory.get(layer));
  }

  private Attention shape(int queries, int keys, boolean causal) {
    int heads = config.heads();
    return new Attention(1, queries, keys, heads, heads, config.headSize(), 1, causal, 0);
  }

  /** Throws unless {@code more} tokens have room. */
  void require(int more) {
    answer.require(more);
  }

  /** To be called when every layer has met the same {@code more} tokens. */
  void advance(int more) {
    answer.advance(more);
  }

  @Override
  public void close() {
    answer.close();
    arena.close();
  }
}
