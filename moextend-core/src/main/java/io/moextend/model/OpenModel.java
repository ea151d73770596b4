package io.moextend.model;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.Adapters;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.Sites;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A decoder with what it lives on: the open checkpoint and the memory of its copied weights.
 * Closing it closes all three.
 */
public final class OpenModel implements AutoCloseable {
  private final WeightSource source;
  private final Arena arena;
  private final Decoder decoder;
  private final @Nullable Adapters adapters;
  private final List<String> initialised;
  private @Nullable LayersInTurn layers;

  private OpenModel(
      WeightSource source,
      Arena arena,
      Decoder decoder,
      @Nullable Adapters adapters,
      List<String> initialised) {
    this.source = source;
    this.arena = arena;
    this.decoder = decoder;
    this.adapters = adapters;
    this.initialised = initialised;
  }

  /**
   * @param source is closed with the model, and also where opening fails
   * @param trained roles this run trains; the others stay where the file is mapped
   * @param seed of a projector, or a mixed layer's gates, that the checkpoint does not have
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static OpenModel of(
      WeightSource source,
      DecoderConfig config,
      Backend backend,
      DType dtype,
      Set<Role> trained,
      long seed) {
    return of(
        source, config, backend, dtype, ParameterChoice.of(trained), seed, ParameterChoice.NONE);
  }

  /**
   * As {@link #of(WeightSource, DecoderConfig, Backend, DType, Set, long)}, for ranks that share
   * layers.
   *
   * @param trained what this run trains, role by role or name by name
   * @param sharded whose matrices in decoder layers come and go; the model runs only once somebody
   *     has taken them over
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static OpenModel of(
      WeightSource source,
      DecoderConfig config,
      Backend backend,
      DType dtype,
      ParameterChoice trained,
      long seed,
      ParameterChoice sharded) {
    return of(source, config, backend, dtype, trained, seed, sharded, null);
  }

  /**
   * As above, with adapters.
   *
   * @param source with the adapters' tensors among it, or without: then they start fresh
   * @param adapted null = none
   */
  @MustBeClosed
  @SuppressWarnings(
      "MustBeClosedChecker") // the arena is closed with the model, or below on failure
  public static OpenModel of(
      WeightSource source,
      DecoderConfig config,
      Backend backend,
      DType dtype,
      ParameterChoice trained,
      long seed,
      ParameterChoice sharded,
      @Nullable AdapterConfig adapted) {
    Arena arena = backend.arena("weights");
    try {
      ParameterFactory fresh =
          new FreshParameters(backend, arena, dtype, trained, config.initializerRange(), seed);
      if (adapted != null) {
        double range = adapted.initializerRange();
        fresh =
            new FreshByRole(
                fresh, new FreshParameters(backend, arena, dtype, trained, range, seed));
      }
      var from =
          new LoadedParameters(
              source, backend, arena, dtype, trained, fresh, mayBeFresh(config), sharded);
      Adapters adapters = adapted == null ? null : new Adapters(from, adapted);
      var decoder = new Decoder(from, config, adapters == null ? Sites.NONE : adapters);
      if (adapters != null) {
        adapters.requireAllFound();
      }
      from.requireAllRead();
      return new OpenModel(source, arena, decoder, adapters, from.initialised());
    } catch (RuntimeException e) {
      arena.close();
      source.close();
      throw e;
    }
  }

  /**
   * To be run forward, in little memory: each layer's matrices are converted to the compute type
   * when the layer is entered, and forgotten when the next one is. Embedding and head stay.
   *
   * @param source is closed with the model, and also where opening fails
   * @param seed of a mixed layer's gates that the checkpoint does not have
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static OpenModel inTurn(
      WeightSource source, DecoderConfig config, Backend backend, DType dtype, long seed) {
    OpenModel model =
        of(source, config, backend, dtype, ParameterChoice.NONE, seed, ParameterChoice.ALL);
    model.layers = new LayersInTurn(backend, model.decoder);
    return model;
  }

  /**
   * What a checkpoint may lack: adapters, the projector before it was ever trained, and the gates
   * of a dense model's layers that became mixtures, which the published conversion leaves out.
   */
  private static Set<Role> mayBeFresh(DecoderConfig config) {
    return config.feedForward() instanceof FeedForwardConfig.Mixed
        ? Set.of(Role.PROJECTOR, Role.ADAPTER, Role.ROUTER, Role.VISION_ROUTER)
        : Set.of(Role.PROJECTOR, Role.ADAPTER);
  }

  public Decoder decoder() {
    return decoder;
  }

  public WeightSource source() {
    return source;
  }

  /** Owns the weights that are not where the checkpoint is mapped. */
  public Arena weights() {
    return arena;
  }

  /** Tensors the checkpoint did not have and that started fresh. */
  public List<String> initialised() {
    return initialised;
  }

  @Override
  public void close() {
    if (layers != null) {
      layers.close();
    }
    decoder.close();
    if (adapters != null) {
      adapters.close();
    }
    arena.close();
    source.close();
  }

  /** Adapters start with a range of their own. */
  private record FreshByRole(ParameterFactory model, ParameterFactory adapters)
      implements ParameterFactory {
    @Override
    public Backend backend() {
      return model.backend();
    }

    @Override
    public Parameter parameter(String name, Role role, Init init, long... shape) {
      return (role == Role.ADAPTER ? adapters : model).parameter(name, role, init, shape);
    }
  }
}
