package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.StoredAdapter;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.ModelConfig;
import io.moextend.config.T5Config;
import io.moextend.eval.AdaptedDecoder;
import io.moextend.eval.T5Trace;
import io.moextend.eval.T5TraceRequest;
import io.moextend.eval.TraceRequest;
import io.moextend.model.OpenAdapters;
import io.moextend.model.OpenModel;
import io.moextend.model.OpenT5;
import io.moextend.model.ParameterChoice;
import io.moextend.nn.Sites;
import io.moextend.stage.Stage;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** What a trace of adapters, and of a T5, is asked for beside the rest. */
final class AdaptTraceOptions {
  private static final String NONE_HERE = "means nothing to this model; leave it out";

  @Option(
      names = "--adapter",
      paramLabel = "DIR",
      description =
          "Folder of the model's adapter: adapter.json or config.json with \"adapter\" beside adapter.safetensors, or PEFT's adapter_config.json and adapter_model.safetensors. Without it the one in --model, where there is one.")
  private @Nullable Path adapter;

  @Option(
      names = "--adafactor-steps",
      defaultValue = "0",
      description =
          "Of a T5: Adafactor steps on the batches plain, packed, plain and so on; writes stepS.losses, .param_after_1.NAME, .param.NAME, .v.NAME and .logits_plain_after, S as --start-step.")
  private int steps;

  @Option(
      names = "--start-step",
      paramLabel = "S",
      defaultValue = "0",
      description =
          "What the counter of --adafactor-steps begins with (default: ${DEFAULT-VALUE}).")
  private long start;

  /** What trains. */
  private static ParameterChoice trained(@Nullable Stage stage, boolean adapted) {
    return stage == Stage.ADAPT && adapted
        ? ParameterChoice.of(Stage.ADAPT.trained())
        : ParameterChoice.ALL;
  }

  private static void refuse(ParseResult typed, List<String> options, String why) {
    for (String option : options) {
      if (typed.hasMatchedOption(option)) {
        throw new ConfigException(option + ": " + why);
      }
    }
  }

  /** Of a tower and, but for --adapter, of a decoder. */
  void requireNone(ParseResult typed, boolean decoder) {
    refuse(typed, List.of("--adafactor-steps", "--start-step"), "is for a T5; " + NONE_HERE);
    if (!decoder) {
      refuse(typed, List.of("--adapter"), "is for a language model; " + NONE_HERE);
    }
  }

  /**
   * A T5's trace.
   *
   * @param batches closed by the caller
   * @param stage "adapt": the adapters train, and all weights where there are none; null or "full":
   *     every weight does
   */
  List<TensorData> trace(
      ParseResult typed,
      ModelOptions model,
      T5Config config,
      Backend backend,
      DType dtype,
      WeightSource batches,
      @Nullable String stage,
      TraceRequest basic) {
    var request = new T5TraceRequest(basic, steps, start);
    refuse(
        typed,
        List.of("--prefix", "--trainable", "--s2-scales", "--selected-experts"),
        "is not for a T5; " + NONE_HERE);
    if (basic.adamSteps() == 0) {
      refuse(typed, List.of("--weight-decay", "--max-grad-norm"), "is for --adamw-steps");
    }
    Stage which = stage == null ? null : Stage.named(stage);
    if (which != null && which != Stage.ADAPT && which != Stage.FULL) {
      throw new ConfigException(
          "--stage", which.word(), "of a T5 adapt or full; no other trains there");
    }
    try (Opened opened = open(model, config, backend, dtype, which)) {
      return T5Trace.run(backend, opened.base().model(), batches, request);
    }
  }

  /** Closes the model before its adapters. */
  private record Opened(OpenT5 base, @Nullable OpenAdapters adapters) implements AutoCloseable {
    @Override
    public void close() {
      base.close();
      if (adapters != null) {
        adapters.close();
      }
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result, or below on failure
  private Opened open(
      ModelOptions model, T5Config config, Backend backend, DType dtype, @Nullable Stage stage) {
    StoredAdapter stored = stored(model, config);
    ParameterChoice trained = trained(stage, stored != null);
    if (stored == null) {
      return new Opened(
          OpenT5.of(model.weights(), config, backend, dtype, trained, Sites.NONE), null);
    }
    var adapters =
        OpenAdapters.of(stored.config(), stored.weights(), backend, dtype, ParameterChoice.ALL, 0);
    OpenT5 base = null;
    try {
      base = OpenT5.of(model.weights(), config, backend, dtype, trained, adapters);
      adapters.requireAllUsed();
      return new Opened(base, adapters);
    } catch (RuntimeException e) {
      if (base != null) {
        base.close();
      }
      adapters.close();
      throw e;
    }
  }

  /** That of --adapter, else the model's own; null where there is neither. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  private @Nullable StoredAdapter stored(ModelOptions model, ModelConfig config) {
    return adapter == null
        ? StoredAdapter.find(model.folder(), config)
        : StoredAdapter.open(adapter, config);
  }

  /**
   * A decoder, with an adapter where one is named, or lies in the model's folder.
   *
   * @param required true where the trace is of one
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  OpenModel decoder(
      ModelOptions model,
      DecoderConfig config,
      Backend backend,
      DType dtype,
      Set<Role> trained,
      boolean required) {
    StoredAdapter stored = stored(model, config);
    if (stored == null) {
      if (required) {
        throw new ConfigException(
            "--stage=adapt: " + model.folder() + " has no adapter; name one with --adapter");
      }
      return OpenModel.of(
          AdaptedDecoder.bare(model.weights(), null), config, backend, dtype, trained, 0);
    }
    WeightSource base;
    try {
      base = AdaptedDecoder.bare(model.weights(), adapter);
    } catch (RuntimeException e) {
      stored.weights().close();
      throw e;
    }
    return AdaptedDecoder.of(base, config, stored, backend, dtype, ParameterChoice.of(trained));
  }
}
