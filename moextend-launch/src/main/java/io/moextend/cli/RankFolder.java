package io.moextend.cli;

import io.moextend.checkpoint.FolderTree;
import io.moextend.comm.group.Group;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HexFormat;
import java.util.function.Consumer;

/**
 * The folder in memory that the ranks of one host share for one generation. A lock that the kernel
 * gives up with the process tells whether anybody is left in it, so that what killed runs left can
 * be swept.
 */
final class RankFolder implements AutoCloseable {
  private static final Path MEMORY = Path.of("/dev/shm");
  private static final String PREFIX = "moextend-ranks-";
  private static final String ALIVE = "alive";
  private static final int MOST_ATTEMPTS = 100;
  private static final String OWNER_ALONE = "rwx------";

  private final Path folder;
  private final FileChannel alive;
  private final FileLock ours;

  private RankFolder(Path folder, FileChannel alive, FileLock ours) {
    this.folder = folder;
    this.alive = alive;
    this.ours = ours;
  }

  /**
   * The same folder for all ranks of this host, and another one for any other start.
   *
   * @param out hears of what earlier runs left and cannot be removed
   * @throws ConfigException where there is no file system in memory
   */
  static RankFolder of(Group group, Consumer<String> out) {
    if (!Files.isDirectory(MEMORY) || !Files.isWritable(MEMORY)) {
      throw new ConfigException(
          MEMORY
              + " is not there or not writable; ranks of one host share memory in it: mount a tmpfs");
    }
    try {
      if (group.environment().localRank() == 0) {
        sweep(out);
      }
      RankFolder made = enter(MEMORY.resolve(PREFIX + name(group)));
      create(made.path());
      return made;
    } catch (IOException e) {
      throw new ConfigException(
          "no folder for the ranks of this host below " + MEMORY + ": " + e, e);
    }
  }

  /** Another run that sweeps may take a folder away before it is locked: then it is made anew. */
  private static RankFolder enter(Path folder) throws IOException {
    for (int attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      create(folder);
      FileChannel alive;
      try {
        alive =
            FileChannel.open(
                folder.resolve(ALIVE),
                StandardOpenOption.CREATE,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE);
      } catch (NoSuchFileException e) {
        continue;
      }
      FileLock ours = alive.lock(0, Long.MAX_VALUE, true);
      if (Files.exists(folder.resolve(ALIVE))) {
        return new RankFolder(folder, alive, ours);
      }
      alive.close();
    }
    throw new IOException(folder + " is taken away again and again");
  }

  private static void create(Path folder) throws IOException {
    Files.createDirectories(
        folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(OWNER_ALONE)));
  }

  /** By the processes that met: the next start has others. */
  private static String name(Group group) {
    var pids = ByteBuffer.allocate(Long.BYTES * group.world());
    group.cards().forEach(card -> pids.putLong(card.pid()));
    byte[] signed =
        group
            .environment()
            .token()
            .sign(
                group.environment().runId().getBytes(StandardCharsets.UTF_8),
                group.environment().host().getBytes(StandardCharsets.UTF_8),
                ByteBuffer.allocate(Integer.BYTES).putInt(group.environment().generation()).array(),
                pids.array());
    return HexFormat.of().formatHex(signed, 0, 12);
  }

  /**
   * Removes what killed runs left.
   *
   * @param out hears of what cannot be removed
   */
  static void sweep(Consumer<String> out) {
    try (DirectoryStream<Path> found =
        Files.newDirectoryStream(MEMORY, p -> p.getFileName().toString().startsWith(PREFIX))) {
      for (Path path : found) {
        if (Files.isWritable(path)) {
          deleteIfLeft(path);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      out.accept("cannot remove what earlier runs left in " + MEMORY + ": " + e);
    }
  }

  /** The lock is held meanwhile: who comes now waits, and sees that the folder has gone. */
  private static void deleteIfLeft(Path folder) throws IOException {
    try (FileChannel lock =
            FileChannel.open(
                folder.resolve(ALIVE), StandardOpenOption.READ, StandardOpenOption.WRITE);
        FileLock nobody = lock.tryLock()) {
      if (nobody != null) {
        new FolderTree(folder).delete();
      }
    } catch (OverlappingFileLockException
        | NoSuchFileException
        | DirectoryNotEmptyException somebodysAfterAll) {
      // ours, or just being made or removed
    }
  }

  /** For wires and buffers. */
  Path path() {
    return folder.resolve("wires");
  }

  /** Where the frozen weights of this host are; made by who opens it first. */
  Path share() {
    return folder.resolve("frozen");
  }

  /** The last one of the host removes the folder. */
  @Override
  public void close() {
    try {
      ours.release();
      alive.close();
      deleteIfLeft(folder);
    } catch (IOException e) {
      throw new ConfigException("cannot remove " + folder + ": " + e, e);
    }
  }
}
