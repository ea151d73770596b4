package io.moextend.eval;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.StoredAdapter;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.model.OpenAdapters;
import io.moextend.model.OpenT5;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.nn.Sites;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A frozen T5, alone or with adapters that were trained for it, to be run and not to be trained.
 */
public final class AdaptedT5 implements AutoCloseable {
  private final OpenT5 base;
  private final @Nullable OpenAdapters adapters;

  private AdaptedT5(OpenT5 base, @Nullable OpenAdapters adapters) {
    this.base = base;
    this.adapters = adapters;
  }

  /**
   * @param model a Hugging Face folder
   * @param adapter a folder that {@link StoredAdapter#open} knows; null for the base alone
   * @throws CheckpointException where either cannot be read, the model lacks a tensor, or the
   *     adapters are another model's
   * @throws io.moextend.config.ConfigException where the model is no T5
   */
  @MustBeClosed
  public static AdaptedT5 open(Path model, @Nullable Path adapter, Backend backend, DType dtype) {
    T5Config config = HuggingFaceConfig.read(model).t5();
    return open(CheckpointFolder.open(model), config, adapter, backend, dtype);
  }

  /**
   * As above.
   *
   * @param weights of the model; closed with the result, and where opening fails
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the adapters' weights are closed with the result
  public static AdaptedT5 open(
      WeightSource weights, T5Config config, @Nullable Path adapter, Backend backend, DType dtype) {
    WeightSource base = AdaptedDecoder.bare(weights, adapter);
    StoredAdapter trained;
    try {
      trained = adapter == null ? null : StoredAdapter.open(adapter, config);
    } catch (RuntimeException e) {
      base.close();
      throw e;
    }
    return of(base, config, trained, backend, dtype);
  }

  /**
   * As above, with adapters that are open already.
   *
   * @param trained closed with the result, and where opening fails; null for the base alone
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result, or below on failure
  public static AdaptedT5 of(
      WeightSource weights,
      T5Config config,
      @Nullable StoredAdapter trained,
      Backend backend,
      DType dtype) {
    OpenAdapters adapters = adapters(weights, trained, backend, dtype);
    OpenT5 base = null;
    try {
      Sites sites = adapters == null ? Sites.NONE : adapters;
      base = OpenT5.of(weights, config, backend, dtype, ParameterChoice.NONE, sites);
      if (adapters != null) {
        adapters.requireAllUsed();
      }
      return new AdaptedT5(base, adapters);
    } catch (RuntimeException e) {
      close(base, adapters);
      throw e;
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result
  private static @Nullable OpenAdapters adapters(
      WeightSource weights, @Nullable StoredAdapter trained, Backend backend, DType dtype) {
    if (trained == null) {
      return null;
    }
    try {
      return OpenAdapters.of(
          trained.config(), trained.weights(), backend, dtype, ParameterChoice.NONE, 0);
    } catch (RuntimeException e) {
      trained.weights().close();
      weights.close();
      throw e;
    }
  }

  public T5 model() {
    return base.model();
  }

  /** What the base's weights are read from. */
  public WeightSource weights() {
    return base.source();
  }

  /** Null where the base runs alone. */
  public @Nullable OpenAdapters adapters() {
    return adapters;
  }

  @Override
  public void close() {
    close(base, adapters);
  }

  /** The model first: it still holds what the adapters' memory has. */
  private static void close(@Nullable OpenT5 base, @Nullable OpenAdapters adapters) {
    if (base != null) {
      base.close();
    }
    if (adapters != null) {
      adapters.close();
    }
  }
}
