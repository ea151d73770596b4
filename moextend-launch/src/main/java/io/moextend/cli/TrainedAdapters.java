package io.moextend.cli;

import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Adapters in a folder of their own: in PEFT's files where PEFT has such, and knows the layers they
 * stand at. It knows none that is a part of a fused matrix.
 *
 * @param base what PEFT loads the base by
 * @param weights the base's tensors
 */
record TrainedAdapters(Backend backend, AdapterConfig config, Path base, WeightSource weights) {
  /**
   * @param own of which the adapters are written
   * @param folder appears under its name only when whole
   */
  void write(List<Parameter> own, Path folder) {
    List<TensorData> tensors = tensors(own);
    if (config.method().isRouted() || !tensors.stream().allMatch(this::atLayer)) {
      AdapterFolder.write(folder, config, tensors);
    } else {
      PeftFolder.write(folder, config, base.toString(), tensors);
    }
  }

  private boolean atLayer(TensorData tensor) {
    String module = tensor.name().substring(0, tensor.name().lastIndexOf('.'));
    return weights.names().contains(module + ".weight");
  }

  /** As the model has them, in f32: no reader has to know what was computed in. */
  private List<TensorData> tensors(List<Parameter> own) {
    var tensors = new ArrayList<TensorData>();
    try (Arena arena = backend.arena("adapters to be written")) {
      for (Parameter p : own) {
        if (p.role() == Role.ADAPTER) {
          float[] values = backend.toFloats(arena, p.data());
          tensors.add(TensorData.of(p.name(), DType.F32, p.shape(), values));
        }
      }
    }
    return tensors;
  }
}
