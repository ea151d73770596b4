package io.moextend;

import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;

/** Models that the reference numbers are about and that are put together from several files. */
public final class GoldenModels {
  private static final String WEIGHTS = "model.safetensors";

  private GoldenModels() {}

  /** The model before the extension stage. */
  public static Path beforeExtension() {
    return Golden.path("moextend/vision_gate");
  }

  /**
   * The model after it: the same with the gates that the stage left.
   *
   * @param folder is made
   */
  public static Path afterExtension(Path folder) throws IOException {
    Path before = beforeExtension();
    Files.createDirectories(folder);
    Files.copy(before.resolve("config.json"), folder.resolve("config.json"));
    Files.copy(
        before.resolve("preprocessor_config.json"), folder.resolve("preprocessor_config.json"));
    try (WeightSource old = SafetensorsFile.open(before.resolve(WEIGHTS));
        WeightSource gates =
            SafetensorsFile.open(Golden.path("moextend/moextend_init/source_gate.safetensors"))) {
      var tensors = new ArrayList<TensorStream>();
      for (String name : old.names()) {
        WeightSource from = gates.names().contains(name) ? gates : old;
        tensors.add(TensorStream.of(from.tensor(name)));
      }
      SafetensorsWriter.writeFile(folder.resolve(WEIGHTS), tensors);
    }
    return folder;
  }
}
