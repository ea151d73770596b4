package io.moextend.comm;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Files in memory that ranks of one host map. */
final class SharedFile {
  private static final int PIECE = 1 << 20;
  private static final Set<StandardOpenOption> CREATE =
      Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
  private static final Set<StandardOpenOption> OPEN =
      Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE);

  private SharedFile() {}

  /** Throws where others than the owner could come in. */
  static void checkFolder(Path folder) {
    try {
      if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
        throw new IOException(folder + " is no folder; make it before the ranks start");
      }
      Set<PosixFilePermission> open = EnumSet.copyOf(Files.getPosixFilePermissions(folder));
      open.removeAll(PosixFilePermissions.fromString("rwx------"));
      if (!open.isEmpty()) {
        throw new IOException(
            "%s lets others in (%s); make it with mode 700".formatted(folder, open));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /**
   * A new file full of zeros, mapped. Its memory is taken here and now: a later touch of a page
   * that is not to be had would kill the process.
   */
  static MemorySegment create(Path file, long bytes, Arena arena) {
    var ours = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));
    try (FileChannel channel = FileChannel.open(file, CREATE, ours)) {
      try {
        fill(file, channel, bytes);
      } catch (IOException e) {
        Files.delete(file);
        throw e;
      }
      return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private static void fill(Path file, FileChannel channel, long bytes) throws IOException {
    long free = Files.getFileStore(file).getUsableSpace();
    if (free < bytes) {
      throw full(file, bytes, free + " are free", null);
    }
    ByteBuffer zeros = ByteBuffer.allocateDirect((int) Math.min(PIECE, bytes));
    try {
      for (long written = 0; written < bytes; ) {
        zeros.clear().limit((int) Math.min(zeros.capacity(), bytes - written));
        written += channel.write(zeros);
      }
    } catch (IOException e) {
      throw full(file, bytes, String.valueOf(e.getMessage()), e);
    }
  }

  private static IOException full(Path file, long bytes, String why, @Nullable IOException cause) {
    return new IOException(
        ("no room for the %d bytes of %s: %s; enlarge that file system (mount -o remount,size=…,"
                + " or --shm-size of a container) or run fewer ranks on this host")
            .formatted(bytes, file, why),
        cause);
  }

  /** Another rank's file. */
  static MemorySegment open(Path file, long bytes, Arena arena) {
    try (FileChannel channel = FileChannel.open(file, OPEN)) {
      if (channel.size() != bytes) {
        throw new IOException(
            "%s has %d bytes instead of %d; do all ranks run the same version?"
                .formatted(file, channel.size(), bytes));
      }
      return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /** Takes the name away; the memory lives while someone maps it. */
  static void unlink(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }
}
