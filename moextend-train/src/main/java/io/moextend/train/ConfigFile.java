package io.moextend.train;

import io.moextend.checkpoint.AtomicFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * config.yaml: the resolved configuration, in the run's folder and in each checkpoint. What must
 * agree when a run goes on is compared by {@link RunState}.
 */
public record ConfigFile(RunConfig config) implements CheckpointPart {
  static final String FILE = "config.yaml";

  /** Writes OUT/config.yaml, in the place of an earlier one. */
  public void write(Path output) {
    try {
      Files.createDirectories(output);
      Files.writeString(output.resolve(FILE), text());
    } catch (IOException e) {
      throw AtomicFolder.failure(output.resolve(FILE), e);
    }
  }

  private String text() {
    return "# Everything this run was told, defaults filled in\n" + config.yaml();
  }

  @Override
  public void save(Path folder, Peers peers) throws IOException {
    if (peers.rank() == 0) {
      Files.writeString(folder.resolve(FILE), text());
    }
  }
}
