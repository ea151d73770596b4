package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.StoredAdapter;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.model.OpenModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A model on disk.
 *
 * @param folder of a whole checkpoint, or of a delta
 * @param base the checkpoint a delta belongs to; null for a whole one
 */
record ModelFolder(Path folder, @Nullable Path base) {
  /** The folder that has config.json and the tokenizer: the model's own, else its base's. */
  Path home() {
    return base == null || Files.exists(folder.resolve(HuggingFaceConfig.FILE)) ? folder : base;
  }

  HuggingFaceConfig config() {
    if (base == null
        && DeltaCheckpoint.isIn(folder)
        && !Files.exists(folder.resolve(HuggingFaceConfig.FILE))) {
      weights().close(); // refuses, and says that a delta wants its base
    }
    if (!Files.exists(home().resolve(HuggingFaceConfig.FILE)) && StoredAdapter.isIn(folder)) {
      throw new ConfigException(
          folder
              + ": holds an adapter alone; name the model it was trained for, and this as --adapter");
    }
    return HuggingFaceConfig.read(home());
  }

  WeightSource weights() {
    return base == null ? CheckpointFolder.open(folder) : CheckpointFolder.open(folder, base);
  }

  /**
   * The config of a model that a command can use.
   *
   * @param check throws where it cannot
   * @throws ConfigException naming config.json
   */
  DecoderConfig decoder(Consumer<DecoderConfig> check) {
    return named(
        all -> {
          DecoderConfig config = all.decoder();
          check.accept(config);
          return config;
        });
  }

  /**
   * @throws ConfigException naming config.json, where it is another model's
   */
  T5Config t5() {
    return named(HuggingFaceConfig::t5);
  }

  private <T> T named(Function<HuggingFaceConfig, T> config) {
    try {
      return config.apply(config());
    } catch (ConfigException e) {
      String file = home().resolve(HuggingFaceConfig.FILE).toString();
      String message = String.valueOf(e.getMessage());
      throw message.startsWith(file) ? e : new ConfigException(file + ": " + message, e);
    }
  }

  /**
   * The whole model, to have its routes counted.
   *
   * @throws ConfigException where a weight is missing
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed where it is refused, else by the caller
  OpenModel open(DecoderConfig config, Backend backend, DType dtype) {
    OpenModel model = OpenModel.of(weights(), config, backend, dtype, Set.of(), 0);
    if (!model.initialised().isEmpty()) {
      model.close();
      throw new ConfigException(
          "%s: has no %s; routes of weights made up here would mean nothing"
              .formatted(folder, model.initialised().getFirst()));
    }
    return model;
  }
}
