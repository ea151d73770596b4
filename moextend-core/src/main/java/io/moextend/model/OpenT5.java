package io.moextend.model;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.T5Config;
import io.moextend.nn.Sites;
import java.util.Set;

/**
 * A T5 with what it lives on: the open checkpoint and the memory of its copied weights. Closing it
 * closes all three; what adapters' places have is theirs who made them.
 */
public final class OpenT5 implements AutoCloseable {
  private final WeightSource source;
  private final Arena arena;
  private final T5 model;

  private OpenT5(WeightSource source, Arena arena, T5 model) {
    this.source = source;
    this.arena = arena;
    this.model = model;
  }

  /**
   * @param source is closed with the model, and also where opening fails
   * @param config what config.json says; where the checkpoint has a head of its own, the head is
   *     not tied, whatever config.json says: transformers 5 writes "tied" of every T5
   * @param trained what this run trains of the checkpoint; the rest stays where the file is mapped
   * @param sites which linear layers have adapters
   * @param sharded whose matrices in layers come and go; the model runs only once somebody has
   *     taken them over
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the model, or below on failure
  public static OpenT5 of(
      WeightSource source,
      T5Config config,
      Backend backend,
      DType dtype,
      ParameterChoice trained,
      Sites sites,
      ParameterChoice sharded) {
    Arena arena = backend.arena("weights");
    try {
      var fresh = new FreshParameters(backend, arena, dtype, trained, new T5Start(config), 0);
      var from =
          new LoadedParameters(source, backend, arena, dtype, trained, fresh, Set.of(), sharded);
      boolean tied = config.tiedHead() && !source.names().contains(T5Names.HEAD);
      var model = new T5(from, config.withHead(tied), sites);
      from.requireAllRead();
      return new OpenT5(source, arena, model);
    } catch (RuntimeException e) {
      arena.close();
      source.close();
      throw e;
    }
  }

  /** As above, on one rank. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static OpenT5 of(
      WeightSource source,
      T5Config config,
      Backend backend,
      DType dtype,
      ParameterChoice trained,
      Sites sites) {
    return of(source, config, backend, dtype, trained, sites, ParameterChoice.NONE);
  }

  public T5 model() {
    return model;
  }

  public WeightSource source() {
    return source;
  }

  /** Owns the weights that are not where the checkpoint is mapped. */
  public Arena weights() {
    return arena;
  }

  @Override
  public void close() {
    model.close();
    arena.close();
    source.close();
  }
}
