package io.moextend.adapter;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.JsonFile;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * LoRA and (IA)³ as Hugging Face's PEFT keeps them: {@code adapter_config.json} and {@code
 * adapter_model.safetensors} with base_model.model.MODULE.lora_A.weight [rank, in], .lora_B.weight
 * [out, rank] and .ia3_l [out, 1], of feed-forward networks [1, in].
 *
 * @see <a href="https://huggingface.co/docs/peft/developer_guides/checkpoint">PEFT checkpoint
 *     format</a>
 */
public final class PeftFolder {
  public static final String CONFIG = "adapter_config.json";
  public static final String WEIGHTS = "adapter_model.safetensors";

  /**
   * What a folder holds.
   *
   * @param weights as a model's parameters have them; to be closed
   */
  public record Read(AdapterConfig config, WeightSource weights) {}

  private PeftFolder() {}

  public static boolean isIn(Path folder) {
    return Files.exists(folder.resolve(CONFIG));
  }

  /**
   * @param heads how many heads the product of an attention's module is split into
   * @throws CheckpointException where the folder asks for what is not built, by the field's or
   *     tensor's name
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static Read open(Path folder, ToIntFunction<String> heads) {
    PeftConfig config = PeftConfig.read(folder.resolve(CONFIG));
    SafetensorsFile file = SafetensorsFile.open(folder.resolve(WEIGHTS));
    try {
      var tensors = PeftTensors.of(file, config.method(), heads);
      return new Read(config.adapter(tensors.modules()), tensors);
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /**
   * @param target appears under its name only when whole
   * @param base what PEFT loads the base by: a folder or a name
   * @param tensors as a model's parameters have them
   * @throws CheckpointException where PEFT has no such method
   */
  public static void write(
      Path target, AdapterConfig config, String base, Collection<TensorData> tensors) {
    if (config.method().isRouted()) {
      throw new CheckpointException(
          "%s: PEFT has no %s; write it as %s"
              .formatted(target, config.method().word(), AdapterFolder.WEIGHTS));
    }
    List<TensorStream> streams =
        tensors.stream().map(PeftTensors::published).map(TensorStream::of).toList();
    List<String> modules = streams.stream().map(t -> PeftTensors.module(t.name())).toList();
    AtomicFolder.write(
        target,
        folder -> {
          JsonFile.write(folder.resolve(CONFIG), PeftConfig.of(config, base, modules));
          SafetensorsWriter.writeFile(folder.resolve(WEIGHTS), streams);
        });
  }
}
