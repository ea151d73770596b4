package io.moextend.train;

import io.moextend.checkpoint.AtomicFolder;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;

/** The run's folder, which all ranks write checkpoints into, be they on several hosts. */
public final class SharedFolder {
  private static final long NUMBERS = 1L << 52; // what a double holds exactly
  private static final long PAUSE_MILLIS = 50;

  private final Path folder;
  private final Peers peers;
  private final Duration patience;

  /**
   * @param folder exists on every rank
   * @param patience what a network's file system may need to show another host's new file
   */
  public SharedFolder(Path folder, Peers peers, Duration patience) {
    this.folder = folder;
    this.peers = peers;
    this.patience = patience;
  }

  /**
   * Returns when every rank has read what rank 0 wrote there. On every rank.
   *
   * @throws ConfigException on every rank, naming those that see another folder
   */
  public void requireShared() {
    if (peers.world() == 1) {
      return;
    }
    long drawn = ThreadLocalRandom.current().nextLong(NUMBERS);
    long number = (long) peers.gather("a number for the folder", drawn)[0][0];
    Path file = folder.resolve(".seen-by-all-" + Long.toHexString(number));
    try {
      new Together(peers)
          .run(
              "writing into " + folder,
              () -> {
                if (peers.rank() == 0) {
                  write(file, Long.toString(number));
                }
              });
      double[][] seen =
          peers.gather("seeing " + folder, appears(file, Long.toString(number)) ? 1 : 0);
      List<Integer> blind =
          IntStream.range(0, seen.length).filter(r -> seen[r][0] == 0).boxed().toList();
      if (!blind.isEmpty()) {
        throw new ConfigException(
            "checkpoints.output_dir",
            folder,
            "what rank 0 writes there is not seen by ranks %s within %d s; all ranks write checkpoints into one folder: mount it on every host under the same path"
                .formatted(blind, patience.toSeconds()));
      }
    } finally {
      if (peers.rank() == 0) {
        remove(file);
      }
    }
  }

  private boolean appears(Path file, String text) {
    long start = System.nanoTime();
    while (true) {
      if (holds(file, text)) {
        return true;
      }
      if (System.nanoTime() - start > patience.toNanos()) {
        return false;
      }
      try {
        Thread.sleep(PAUSE_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return false;
      }
    }
  }

  private static boolean holds(Path file, String text) {
    try {
      return Files.exists(file) && Files.readString(file).equals(text);
    } catch (IOException notYet) {
      return false; // a file that is just appearing; who waits looks again
    }
  }

  private static void write(Path file, String text) {
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw AtomicFolder.failure(file, e);
    }
  }

  private static void remove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw AtomicFolder.failure(file, e);
    }
  }
}
