package io.moextend.model;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.Adapters;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.WeightSource;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.Site;
import io.moextend.nn.Sites;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Adapters for one model with what they live on: the memory of their weights and, where they were
 * trained before, the open file. To be closed after the model.
 */
public final class OpenAdapters implements Sites, AutoCloseable {
  private final @Nullable WeightSource source;
  private final Arena arena;
  private final @Nullable LoadedParameters loaded;
  private final Adapters adapters;

  private OpenAdapters(
      @Nullable WeightSource source,
      Arena arena,
      @Nullable LoadedParameters loaded,
      Adapters adapters) {
    this.source = source;
    this.arena = arena;
    this.loaded = loaded;
    this.adapters = adapters;
  }

  /**
   * @param source the adapters' tensors as memory has them, closed with this; null = a fresh start
   * @param trained which of them this run trains
   * @param seed of a fresh start
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result
  public static OpenAdapters of(
      AdapterConfig config,
      @Nullable WeightSource source,
      Backend backend,
      DType dtype,
      ParameterChoice trained,
      long seed) {
    Arena arena = backend.arena("adapters");
    var fresh =
        new FreshParameters(backend, arena, dtype, trained, config.initializerRange(), seed);
    LoadedParameters loaded =
        source == null
            ? null
            : new LoadedParameters(
                source, backend, arena, dtype, trained, fresh, Set.of(), ParameterChoice.NONE);
    ParameterFactory from = loaded == null ? fresh : loaded;
    return new OpenAdapters(source, arena, loaded, new Adapters(from, config));
  }

  @Override
  public @Nullable Site at(Layer layer) {
    return adapters.at(layer);
  }

  public Adapters adapters() {
    return adapters;
  }

  /**
   * To be called when the model is built.
   *
   * @throws io.moextend.config.ConfigException where a site was named that the model does not have
   * @throws io.moextend.checkpoint.CheckpointException where the file has a tensor that the model
   *     has no place for
   */
  public void requireAllUsed() {
    adapters.requireAllFound();
    if (loaded != null) {
      loaded.requireAllRead();
    }
  }

  @Override
  public void close() {
    adapters.close();
    arena.close();
    if (source != null) {
      source.close();
    }
  }
}
