package io.moextend.train;

import io.moextend.adapter.Adapters;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.stage.CompanionFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * A run's result as a Hugging Face folder that stands alone: frozen tensors byte for byte as they
 * were read, trained ones from memory, in the type the checkpoint has.
 *
 * @param own what the run trained, and what started fresh whether it trained or not
 */
public record WholeModel(
    Backend backend, WeightSource source, HuggingFaceConfig config, List<Parameter> own) {

  /**
   * @param companions folders whose tokenizer and preprocessor files go along; a later one
   *     overwrites
   * @param folder appears under its name only when whole
   */
  public void write(List<Path> companions, Path folder) {
    Set<String> names = own.stream().map(Parameter::name).collect(Collectors.toSet());
    var tensors = new ArrayList<TensorStream>();
    for (String name : source.names()) {
      if (!names.contains(name) && !Adapters.isTensor(name)) { // those have a folder of their own
        tensors.add(TensorStream.of(source.tensor(name)));
      }
    }
    for (Parameter parameter : own) {
      tensors.add(stream(parameter));
    }
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

  private TensorStream stream(Parameter parameter) {
    Array data = parameter.data();
    DType stored =
        source.names().contains(parameter.name())
            ? source.tensor(parameter.name()).dtype()
            : source.tensor("model.embed_tokens.weight").dtype();
    return DeviceTensor.stream(backend, parameter.name(), data, stored);
  }
}
