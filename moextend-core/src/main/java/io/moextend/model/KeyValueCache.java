package io.moextend.model;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.nn.Lookup;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The keys, after their rotation, and the values of one sequence in every layer, so that a token
 * that follows is all a pass has to run. Owns its memory, all of it taken at the start. {@link
 * Decoder#extend} fills it. Not thread-safe.
 */
public final class KeyValueCache implements AutoCloseable {
  /**
   * @param keys [capacity, keyHeads·headSize]
   * @param values likewise
   */
  private record Layer(Array keys, Array values) {}

  private final Backend backend;
  private final int capacity;
  private final int sameAnglesUpTo;
  private final Arena arena;
  private final List<Layer> layers = new ArrayList<>();
  private int length;

  /**
   * @param dtype the decoder's {@link Decoder#dtype}
   * @param capacity tokens it can hold: those of the prompt and the new ones
   * @throws ConfigException where the model has no positions for as many
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  public KeyValueCache(Backend backend, DecoderConfig config, DType dtype, int capacity) {
    this(
        backend,
        dtype,
        config.layers(),
        config.heads().keyValue() * config.heads().size(),
        requireFitting(config, capacity),
        config.rope().sameAnglesUpTo());
  }

  /**
   * Of a model whose keys are not rotated.
   *
   * @param width of a key, all heads together
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  KeyValueCache(Backend backend, DType dtype, int layers, int width, int capacity) {
    this(backend, dtype, layers, width, capacity, Integer.MAX_VALUE);
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  private KeyValueCache(
      Backend backend, DType dtype, int layers, int width, int capacity, int sameAnglesUpTo) {
    long bytes = bytes(dtype, layers, width, capacity);
    this.backend = backend;
    this.capacity = capacity;
    this.sameAnglesUpTo = sameAnglesUpTo;
    this.arena = backend.arena("keys and values, " + bytes + " bytes");
    try {
      for (int i = 0; i < layers; i++) {
        this.layers.add(
            new Layer(
                arena.allocate(dtype, capacity, width), arena.allocate(dtype, capacity, width)));
      }
    } catch (RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  /**
   * Bytes that one for {@code capacity} tokens takes.
   *
   * @throws ConfigException where the model has no positions for as many
   */
  public static long bytes(DecoderConfig config, DType dtype, int capacity) {
    int width = config.heads().keyValue() * config.heads().size();
    return bytes(dtype, config.layers(), width, requireFitting(config, capacity));
  }

  private static long bytes(DType dtype, int layers, int width, int capacity) {
    long token = 2L * layers * width;
    return Math.multiplyExact(Math.multiplyExact(token, capacity), dtype.bytes());
  }

  private static int requireFitting(DecoderConfig config, int capacity) {
    if (capacity < 1 || capacity > config.rope().maxPositions()) {
      throw new ConfigException(
          "prompt and new tokens are %d together, the model takes 1 to max_position_embeddings=%d; shorten the prompt or ask for fewer new tokens"
              .formatted(capacity, config.rope().maxPositions()));
    }
    return capacity;
  }

  /** Tokens it holds. */
  public int length() {
    return length;
  }

  /** Tokens it can hold. */
  public int capacity() {
    return capacity;
  }

  public long bytes() {
    return arena.liveBytes();
  }

  /**
   * True where the sequence gets so long with {@code more} tokens that the model turns all its
   * positions by other angles (Phi-3's long factors), those of the keys here too: {@link #clear} it
   * and run the whole sequence.
   */
  public boolean outgrownBy(int more) {
    return length > 0 && length <= sameAnglesUpTo && length + more > sameAnglesUpTo;
  }

  /** Forgets all tokens. */
  public void clear() {
    length = 0;
  }

  /** Throws unless {@code more} tokens have room and the same angles. */
  void require(int more) {
    if (length + more > capacity) {
      throw new IllegalStateException(
          "%d more tokens behind %d in a cache for %d".formatted(more, length, capacity));
    }
    if (outgrownBy(more)) {
      throw new IllegalStateException(
          "%d more tokens behind %d: beyond %d the model has other angles; clear the cache and run the whole sequence"
              .formatted(more, length, sameAnglesUpTo));
    }
  }

  /**
   * What the queries of one layer see: their own pass's tokens, which are put in, and all before.
   *
   * @param shape of the heads; its counts of sequences, queries and keys do not matter
   * @param bias [queryHeads, tokens of the pass, all tokens] wide, or null
   */
  Lookup lookup(int layer, Attention shape, @Nullable Array bias) {
    return (tape, q, k, v) -> {
      requireConstant(q, k, v);
      return Tensor.constant(attend(tape, layer, shape, q.data(), k.data(), v.data(), bias));
    };
  }

  /** Throws where a gradient is wanted. */
  static void requireConstant(Tensor q, Tensor k, Tensor v) {
    if (q.requiresGrad() || k.requiresGrad() || v.requiresGrad()) {
      throw new IllegalStateException("a cache passes no gradients on; run with Tape.off");
    }
  }

  /**
   * Puts a layer's keys and values behind those it has, and lets the queries of the same tokens
   * look among all of them.
   *
   * @param q [n, queryHeads·headSize], and {@code k}, {@code v} likewise, of n new tokens
   * @param shape of the heads; its counts of sequences, queries and keys do not matter
   * @param bias [queryHeads, n, all tokens] wide, or null
   */
  Array attend(
      Tape tape, int layer, Attention shape, Array q, Array k, Array v, @Nullable Array bias) {
    int more = (int) q.dim(0);
    int until = length + more;
    Layer kept = layers.get(layer);
    backend.copyInto(kept.keys.slice(length, until), k);
    backend.copyInto(kept.values.slice(length, until), v);
    var own =
        new Attention(
            1,
            more,
            until,
            shape.queryHeads(),
            shape.keyHeads(),
            shape.headSize(),
            shape.scale(),
            shape.causal(),
            shape.window());
    return tape.backend()
        .attend(
            tape.arena(),
            own,
            q,
            kept.keys.slice(0, until),
            kept.values.slice(0, until),
            null,
            bias)
        .out();
  }

  /** To be called when every layer has put the same {@code more} tokens in. */
  void advance(int more) {
    length += more;
  }

  @Override
  public void close() {
    arena.close();
  }
}
