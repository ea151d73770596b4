package io.moextend.eval;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.Adapters;
import io.moextend.adapter.StoredAdapter;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.Selected;
import io.moextend.checkpoint.Union;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.model.OpenModel;
import io.moextend.model.ParameterChoice;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Opens decoders with adapters that were trained for them. */
public final class AdaptedDecoder {
  private AdaptedDecoder() {}

  /**
   * A frozen decoder, alone or with an adapter.
   *
   * @param weights of the model; closed with the result, and where opening fails
   * @param adapter a folder that {@link StoredAdapter#open} knows; null for the base alone
   * @throws CheckpointException where either cannot be read, the model lacks a tensor, or the
   *     adapters are another model's
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static OpenModel open(
      WeightSource weights,
      DecoderConfig config,
      @Nullable Path adapter,
      Backend backend,
      DType dtype) {
    WeightSource base = bare(weights, adapter);
    if (adapter == null) {
      return OpenModel.of(
          base, config, backend, dtype, ParameterChoice.NONE, 0, ParameterChoice.NONE);
    }
    StoredAdapter stored;
    try {
      stored = StoredAdapter.open(adapter, config);
    } catch (RuntimeException e) {
      base.close();
      throw e;
    }
    return of(base, config, stored, backend, dtype, ParameterChoice.NONE);
  }

  /**
   * A model without the adapters that a run's checkpoint has among its weights: they come from a
   * folder of their own.
   *
   * @param weights closed where they are refused
   * @throws CheckpointException where there are some and no folder is named
   */
  public static WeightSource bare(WeightSource weights, @Nullable Path adapter) {
    String first = weights.names().stream().filter(Adapters::isTensor).findFirst().orElse(null);
    if (first == null) {
      return weights;
    }
    if (adapter == null) {
      weights.close();
      throw CheckpointException.ofTensor(
          weights.origin(),
          first,
          "is an adapter's; name the folder of it, CHECKPOINT/adapter, as --adapter");
    }
    return new Selected(weights, name -> !Adapters.isTensor(name));
  }

  /**
   * As above, with an adapter that is open already.
   *
   * @param stored closed with the result, and where opening fails
   * @param trained what is to train
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, or closed where it is refused
  public static OpenModel of(
      WeightSource weights,
      DecoderConfig config,
      StoredAdapter stored,
      Backend backend,
      DType dtype,
      ParameterChoice trained) {
    WeightSource both;
    try {
      both = new Union(List.of(weights, stored.weights()));
    } catch (RuntimeException e) {
      stored.weights().close();
      weights.close();
      throw e;
    }
    String origin = stored.weights().origin();
    OpenModel model;
    try {
      model =
          OpenModel.of(
              both, config, backend, dtype, trained, 0, ParameterChoice.NONE, stored.config());
    } catch (ConfigException e) {
      throw new ConfigException(origin + ": " + e.getMessage(), e);
    }
    for (String name : model.initialised()) {
      if (Adapters.isTensor(name)) {
        model.close();
        throw CheckpointException.ofTensor(
            origin, name, "is missing, which its config asks for; another model's?");
      }
    }
    return model;
  }
}
