package io.moextend.train;

import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * Where a run stands, as it lies in a checkpoint: with weights and optimizer it is all that a run
 * needs to go on to the bit.
 *
 * @param formatVersion of this file
 * @param step optimizer steps done
 * @param samplesSeen by all ranks
 * @param position where each rank's data goes on
 * @param identity settings the rest of the run must share, by field path
 */
public record RunState(
    int formatVersion,
    int step,
    long samplesSeen,
    BatchSource.Position position,
    SequencedMap<String, String> identity) {
  static final String FILE = "state.yaml";
  private static final int VERSION = 1;

  public RunState {
    if (formatVersion != VERSION) {
      throw new ConfigException(
          "format_version",
          formatVersion,
          "this moextend reads %d; use a newer one".formatted(VERSION));
    }
    identity = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(identity));
  }

  static RunState of(
      int step,
      long samplesSeen,
      BatchSource.Position position,
      SequencedMap<String, String> identity) {
    return new RunState(VERSION, step, samplesSeen, position, identity);
  }

  /**
   * @throws ConfigException where the folder is no checkpoint
   */
  public static RunState read(Path checkpoint) {
    Path file = checkpoint.resolve(FILE);
    try {
      return StrictRecords.read(
          YamlTree.parse(file.toString(), Files.readString(file)), RunState.class);
    } catch (IOException e) {
      throw new ConfigException(checkpoint + " is no checkpoint to go on with: " + e, e);
    }
  }

  void write(Path checkpoint) throws IOException {
    Files.writeString(
        checkpoint.resolve(FILE), YamlTree.YAML.writeValueAsString(StrictRecords.write(this)));
  }

  /**
   * @throws ConfigException naming the first setting that is not as it was
   */
  void requireSame(Path checkpoint, Map<String, String> now) {
    for (Map.Entry<String, String> field : now.entrySet()) {
      String then = identity.get(field.getKey());
      if (!field.getValue().equals(then)) {
        throw new ConfigException(
            field.getKey(),
            field.getValue(),
            "was %s in %s; set it back to go on with that run, or start another in a new output_dir"
                .formatted(then == null ? "not set" : then, checkpoint));
      }
    }
  }
}
