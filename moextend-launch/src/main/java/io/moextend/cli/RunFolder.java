package io.moextend.cli;

import io.moextend.checkpoint.AtomicFolder;
import io.moextend.config.ConfigException;
import io.moextend.train.ModelSection;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * The folder a run writes.
 *
 * @param read what the run starts from
 */
record RunFolder(List<Path> read, Path output) {
  static RunFolder of(ModelSection read, Path output) {
    return new RunFolder(
        Stream.of(read.base(), read.delta(), read.visionTower(), read.projector(), read.tokenizer())
            .filter(Objects::nonNull)
            .toList(),
        output);
  }

  /**
   * Makes it where it is not there yet.
   *
   * @throws ConfigException where it cannot be written, or is one the run reads
   */
  void open() {
    requireApart();
    try {
      Files.createDirectories(output);
    } catch (IOException e) {
      throw AtomicFolder.failure(output, e);
    }
    if (!Files.isWritable(output)) {
      throw new ConfigException(
          "checkpoints.output_dir", output, "is not writable for this user; name another folder");
    }
  }

  /** What a run reads must outlive what it writes. */
  private void requireApart() {
    for (Path written : List.of(output, FinishedRun.model(output))) {
      for (Path source : read) {
        if (written.toAbsolutePath().normalize().equals(source.toAbsolutePath().normalize())) {
          throw new ConfigException(
              "checkpoints.output_dir",
              output,
              "the run would write into %s, which it reads; name another folder".formatted(source));
        }
      }
    }
  }
}
