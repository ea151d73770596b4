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
import io.moextend.model.OpenModel;
import io.moextend.stage.Stage;
import io.moextend.train.CheckpointPart;
import io.moextend.train.Peers;
import io.moextend.train.TrainConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Adapters in a folder of their own, at a run's end and in each of its checkpoints: in PEFT's files
 * where PEFT has such, and knows the layers they stand at. It knows none that is a part of a fused
 * matrix.
 *
 * @param base what PEFT loads the base by
 * @param weights the base's tensors
 * @param parameters of the model, of which the adapters are written
 */
record TrainedAdapters(
    Backend backend,
    AdapterConfig config,
    Path base,
    WeightSource weights,
    List<Parameter> parameters)
    implements CheckpointPart {
  /** Its name in a checkpoint, and in a run's folder beside a whole model. */
  static final String FOLDER = "adapter";

  TrainedAdapters {
    parameters = List.copyOf(parameters);
  }

  /**
   * Those of a decoder.
   *
   * @return null where it has none
   */
  static @Nullable TrainedAdapters of(
      Stage stage, TrainConfig config, Backend backend, OpenModel model) {
    AdapterConfig adapters = config.adapter().config();
    if (adapters == null) {
      return null;
    }
    // what else trains is in OUT/model, which the adapters then belong to
    Path base =
        stage == Stage.ADAPT
            ? config.model().base()
            : FinishedRun.model(config.checkpoints().outputDir());
    return new TrainedAdapters(
        backend, adapters, base, model.source(), model.decoder().parameters());
  }

  /**
   * @param folder appears under its name only when whole
   */
  void write(Path folder) {
    List<TensorData> tensors = tensors();
    if (config.method().isRouted() || !tensors.stream().allMatch(this::atLayer)) {
      AdapterFolder.write(folder, config, tensors);
    } else {
      PeftFolder.write(folder, config, base.toString(), tensors);
    }
  }

  @Override
  public void save(Path folder, Peers peers) {
    if (peers.rank() == 0) {
      write(folder.resolve(FOLDER));
    }
  }

  private boolean atLayer(TensorData tensor) {
    String module = tensor.name().substring(0, tensor.name().lastIndexOf('.'));
    return weights.names().contains(module + ".weight");
  }

  /** As the model has them, in f32: no reader has to know what was computed in. */
  private List<TensorData> tensors() {
    var tensors = new ArrayList<TensorData>();
    try (Arena arena = backend.arena("adapters to be written")) {
      for (Parameter p : parameters) {
        if (p.role() == Role.ADAPTER) {
          float[] values = backend.toFloats(arena, p.data());
          tensors.add(TensorData.of(p.name(), DType.F32, p.shape(), values));
        }
      }
    }
    return tensors;
  }
}
