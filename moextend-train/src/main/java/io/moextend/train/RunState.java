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
 * @param formatVersion 2; in version 1 an epoch's last batch was filled from its beginning, and the
 *     optimizer's state lay in one file
 * @param step optimizer steps done
 * @param samplesSeen by all ranks
 * @param position where the data of all ranks goes on
 * @param identity settings the rest of the run must share, by field path
 */
public record RunState(
    int formatVersion,
    int step,
    long samplesSeen,
    BatchSource.Position position,
    SequencedMap<String, String> identity) {
  static final String FILE = "state.yaml";
  private static final int VERSION = 2;
  private static final String ROWS = "training.per_device_train_batch_size";

  public RunState {
    if (formatVersion != VERSION) {
      throw new ConfigException(
          "format_version",
          formatVersion,
          formatVersion > VERSION
              ? "this moextend reads %d; use a newer one".formatted(VERSION)
              : "this moextend reads %d; go on with the moextend that wrote it, or start another run in a new output_dir"
                  .formatted(VERSION));
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
   * @param world ranks that want to go on
   * @throws ConfigException naming the first setting that is not as it was
   */
  void requireSame(Path checkpoint, Map<String, String> now, int world) {
    for (Map.Entry<String, String> field : now.entrySet()) {
      String then = identity.get(field.getKey());
      if (!field.getValue().equals(then)) {
        throw new ConfigException(
            field.getKey(),
            field.getValue(),
            "was %s in %s; %s or start another in a new output_dir"
                .formatted(
                    then == null ? "not set" : then,
                    checkpoint,
                    field.getKey().equals(TrainConfig.GLOBAL_BATCH) && then != null
                        ? fitting(Long.parseLong(then), now, world)
                        : "set it back to go on with that run,"));
      }
    }
  }

  /** How ranks and accumulation come to the global batch that was. */
  private static String fitting(long batch, Map<String, String> now, int world) {
    String rows = now.get(ROWS);
    if (rows == null) {
      throw new IllegalStateException("a global batch without " + ROWS);
    }
    long together = Math.multiplyExact(Long.parseLong(rows), world);
    if (batch % together == 0) {
      return "training.gradient_accumulation_steps: %d makes it so with %d ranks of %s samples: set it to go on with that run,"
          .formatted(batch / together, world, rows);
    }
    return "no training.gradient_accumulation_steps makes it so with %d ranks of %s samples: take a number of ranks that divides %d to go on with that run,"
        .formatted(world, rows, batch / Long.parseLong(rows));
  }
}
