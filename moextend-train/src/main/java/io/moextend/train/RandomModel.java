package io.moextend.train;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Module;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorStream;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.config.TowerConfig;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.FreshParameters.Draws;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Start;
import io.moextend.nn.Sites;
import io.moextend.stage.CompanionFiles;
import io.moextend.vision.Tower;
import java.nio.file.Path;
import java.util.List;

/**
 * A model of a given shape with random weights, as a Hugging Face folder: to try things on, or to
 * pretrain.
 */
public final class RandomModel {
  private RandomModel() {}

  /**
   * @param dtype the weights are stored in: F32, BF16 or F16
   * @param companions folders whose tokenizer and preprocessor files go along
   * @param folder appears under its name only when whole
   */
  public static void write(
      Backend backend,
      HuggingFaceConfig config,
      DType dtype,
      long seed,
      List<Path> companions,
      Path folder) {
    try (Arena arena = backend.arena("random model")) {
      Draws draws =
          switch (config.model()) {
            case DecoderConfig decoder -> Draws.normal(decoder.initializerRange());
            case T5Config t5 -> new T5Start(t5);
            case TowerConfig tower -> Draws.normal(tower.initializerRange());
          };
      var fresh = new FreshParameters(backend, arena, DType.F32, ParameterChoice.NONE, draws, seed);
      switch (config.model()) {
        case DecoderConfig decoder -> {
          try (var model = new Decoder(fresh, decoder)) {
            save(backend, model, config, dtype, companions, folder);
          }
        }
        case T5Config t5 -> {
          try (var model = new T5(fresh, t5, Sites.NONE)) {
            save(backend, model, config, dtype, companions, folder);
          }
        }
        case TowerConfig tower -> {
          try (var model = Tower.of(fresh, "", tower)) {
            save(backend, model, config, dtype, companions, folder);
          }
        }
      }
    }
  }

  private static void save(
      Backend backend,
      Module model,
      HuggingFaceConfig config,
      DType dtype,
      List<Path> companions,
      Path folder) {
    List<TensorStream> tensors =
        model.parameters().stream()
            .map(p -> DeviceTensor.stream(backend, p.name(), p.data(), dtype))
            .toList();
    AtomicFolder.write(
        folder,
        inside -> {
          SafetensorsWriter.writeModel(inside, tensors, SafetensorsWriter.DEFAULT_SHARD_BYTES);
          config.write(inside.resolve(HuggingFaceConfig.FILE));
          for (Path from : companions) {
            CompanionFiles.copy(from, inside);
          }
        });
  }
}
