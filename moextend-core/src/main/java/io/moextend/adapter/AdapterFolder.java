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

/**
 * Adapters of any method in a folder: {@code adapter.json}, the config, and {@code
 * adapter.safetensors}. The file's tensors lie as the original's do: lora_A [in, rank] or [experts,
 * in, rank], lora_B [rank, out] or [experts, rank, out], router.kernel [in, experts], vectors
 * [heads, size], [heads, experts, size], [width] or [experts, width].
 */
public final class AdapterFolder {
  public static final String CONFIG = "adapter.json";
  public static final String WEIGHTS = "adapter.safetensors";

  private AdapterFolder() {}

  public static boolean isIn(Path folder) {
    return Files.exists(folder.resolve(CONFIG));
  }

  /**
   * @throws CheckpointException where the file is no config of an adapter
   */
  public static AdapterConfig config(Path folder) {
    return JsonFile.read(folder.resolve(CONFIG), AdapterConfig.class);
  }

  /**
   * The tensors as a model's parameters have them.
   *
   * @throws CheckpointException where the file cannot be read or has other tensors
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static WeightSource open(Path folder) {
    SafetensorsFile file = SafetensorsFile.open(folder.resolve(WEIGHTS));
    for (String name : file.names()) {
      boolean flat = file.tensor(name).shape().length < 2;
      if (!SiteTensor.isName(name) || SiteTensor.isTurned(name) && flat) {
        file.close();
        throw CheckpointException.ofTensor(file.path(), name, "is no adapter's");
      }
    }
    return new TurnedTensors(file);
  }

  /** A tensor of a model's parameters as the file has it; what is no adapter's stays as it is. */
  public static TensorData stored(TensorData tensor) {
    return TurnedTensors.turned(tensor);
  }

  /**
   * @param target appears under its name only when whole
   * @param tensors as a model's parameters have them
   */
  public static void write(Path target, AdapterConfig config, Collection<TensorData> tensors) {
    List<TensorStream> streams =
        tensors.stream().map(AdapterFolder::inFile).map(TensorStream::of).toList();
    AtomicFolder.write(
        target,
        folder -> {
          JsonFile.write(folder.resolve(CONFIG), config);
          SafetensorsWriter.writeFile(folder.resolve(WEIGHTS), streams);
        });
  }

  /**
   * A tensor as {@link #WEIGHTS} has it.
   *
   * @param tensor as a model's parameters have it; what is no adapter's stays as it is
   */
  public static TensorData inFile(TensorData tensor) {
    return TurnedTensors.turned(tensor);
  }
}
