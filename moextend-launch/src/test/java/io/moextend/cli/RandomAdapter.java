package io.moextend.cli;

import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.array.DType;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.TensorData;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.model.OpenAdapters;
import io.moextend.model.OpenModel;
import io.moextend.model.OpenT5;
import io.moextend.model.ParameterChoice;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;

/**
 * Adapters at the places where a model has them, at random numbers: vectors around 1, matrices
 * around 0.
 */
record RandomAdapter(AdapterConfig config, List<TensorData> tensors) {
  static RandomAdapter of(Path model, AdapterConfig config, long seed) {
    var shape = HuggingFaceConfig.read(model);
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      return switch (shape.model()) {
        case T5Config t5 -> {
          try (OpenAdapters adapters =
                  OpenAdapters.of(config, null, backend, DType.F32, ParameterChoice.NONE, seed);
              OpenT5 open =
                  OpenT5.of(
                      CheckpointFolder.open(model),
                      t5,
                      backend,
                      DType.F32,
                      ParameterChoice.NONE,
                      adapters)) {
            yield new RandomAdapter(config, tensors(open.model(), seed));
          }
        }
        case DecoderConfig decoder -> {
          try (OpenModel open =
              OpenModel.of(
                  CheckpointFolder.open(model),
                  decoder,
                  backend,
                  DType.F32,
                  ParameterChoice.NONE,
                  seed,
                  ParameterChoice.NONE,
                  config)) {
            yield new RandomAdapter(config, tensors(open.decoder(), seed));
          }
        }
        default -> throw new IllegalArgumentException(model.toString());
      };
    }
  }

  private static List<TensorData> tensors(Module model, long seed) {
    var random = new Random(seed);
    return model.parameters().stream()
        .filter(p -> p.role() == Role.ADAPTER)
        .map(p -> tensor(p, random))
        .toList();
  }

  private static TensorData tensor(Parameter p, Random random) {
    float[] values = new float[(int) p.size()];
    double middle = p.name().endsWith("_scaling") ? 1 : 0;
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (middle + 0.2 * random.nextGaussian());
    }
    return TensorData.of(p.name(), p.shape(), values);
  }

  /** In our own form. */
  Path write(Path folder) {
    AdapterFolder.write(folder, config, tensors);
    return folder;
  }

  /** As PEFT keeps them. */
  Path writeForPeft(Path folder) {
    PeftFolder.write(folder, config, "base", tensors);
    return folder;
  }
}
