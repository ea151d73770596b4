package io.moextend.backend;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Memory that the processes of one host have once: named blocks in a folder of a memory file system
 * (/dev/shm), each made by whoever needs it first and mapped read-only by all.
 *
 * <p>The first comer locks the name, writes NAME.incomplete-… and renames it; the others wait for
 * the rename. The lock is the kernel's, so a maker that is killed gives it up at once and one of
 * those who wait takes over. Blocks are written, not mapped, when they are made: a full file system
 * is an error with its mend and never a SIGBUS.
 *
 * <p>A block's name must say everything its bytes depend on. The last process that leaves removes
 * the folder; where all are killed it stays, for who made the folder it lies in.
 */
public final class HostShare implements AutoCloseable {
  /** Long enough for the largest block on the slowest disk, short of a night. */
  public static final Duration PATIENCE = Duration.ofMinutes(10);

  private static final int WRITTEN_AT_ONCE = 64 << 20;

  private final ShareFolder folder;
  private final FileChannel locks;
  private final Duration patience;
  private final FileLock alive;
  private final String self = UUID.randomUUID().toString();
  private boolean closed;

  /** Gives a block's bytes, in order, to {@code to}; asked only in the process that makes it. */
  @FunctionalInterface
  public interface Content {
    void writeTo(Sink to);
  }

  /** Takes the next bytes of a block that is being made. */
  @FunctionalInterface
  public interface Sink {
    void accept(MemorySegment bytes);
  }

  /** A block as this process has it mapped, read-only; closing it unmaps it here alone. */
  public static final class Block implements AutoCloseable {
    private final Arena mapping;
    private final MemorySegment memory;

    private Block(Arena mapping, MemorySegment memory) {
      this.mapping = mapping;
      this.memory = memory;
    }

    public MemorySegment memory() {
      return memory;
    }

    @Override
    public void close() {
      mapping.close();
    }
  }

  private HostShare(ShareFolder folder, FileChannel locks, FileLock alive, Duration patience) {
    this.folder = folder;
    this.locks = locks;
    this.alive = alive;
    this.patience = patience;
  }

  /**
   * Joins those who share {@code folder}, or founds it with mode 700.
   *
   * @param folder one for each run and generation, in a memory file system; its parent must exist
   * @param patience for a block that another process makes
   * @throws BackendException where the folder is another user's, open to others or cannot be had
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static HostShare open(Path folder, Duration patience) {
    var place = new ShareFolder(folder);
    long until = System.nanoTime() + patience.toNanos();
    try {
      while (true) {
        HostShare joined = join(place, patience);
        if (joined != null) {
          return joined;
        }
        pause(until, 1, () -> folder + " is being removed and does not go away; remove it");
      }
    } catch (IOException e) {
      throw place.failure("cannot be used", e);
    }
  }

  /** Null where the folder was removed meanwhile by the last of those before. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the channel is handed on, or closed here
  private static @Nullable HostShare join(ShareFolder place, Duration patience) throws IOException {
    place.found();
    FileChannel locks = null;
    HostShare joined = null;
    try {
      Object before = place.identity();
      locks = FileChannel.open(place.locks(), StandardOpenOption.READ, StandardOpenOption.WRITE);
      FileLock alive =
          tryLock(locks, ShareFolder.ALIVE + ThreadLocalRandom.current().nextLong(1L << 61), 1);
      if (alive != null && before.equals(place.identity())) {
        joined = new HostShare(place, locks, alive, patience);
      }
    } catch (NoSuchFileException e) {
      return null;
    } finally {
      if (joined == null && locks != null) {
        locks.close();
      }
    }
    return joined;
  }

  /**
   * The block of this name, made now where no process has made it yet.
   *
   * @param name says what is in it, in any words; the same in all processes
   * @param bytes its size, the same in all processes
   * @throws BackendException where there is no room, where it has another size, or where another
   *     process does not finish it in time
   */
  @MustBeClosed
  public synchronized Block block(String name, long bytes, Content content) {
    if (closed) {
      throw new IllegalStateException(folder + " was left");
    }
    String hash = ShareFolder.hash(name);
    Path file = folder.block(hash);
    long until = System.nanoTime() + patience.toNanos();
    for (long turn = 1; ; turn++) {
      try {
        if (!Files.exists(file)) {
          makeUnlessLocked(hash, bytes, content);
        }
        return mapped(file, name, bytes);
      } catch (NoSuchFileException e) {
        pause(until, turn, () -> late(name));
      } catch (IOException e) {
        throw folder.failure("block '%s' of %,d bytes cannot be had".formatted(name, bytes), e);
      }
    }
  }

  private String late(String name) {
    return "%s: another process of this host did not finish block '%s' within %s; is it stopped?"
        .formatted(folder, name, patience);
  }

  private void makeUnlessLocked(String hash, long bytes, Content content) throws IOException {
    try (FileLock lock = tryLock(locks, ShareFolder.lockOf(hash), 1)) {
      if (lock == null || Files.exists(folder.block(hash))) {
        return;
      }
      folder.removeIncomplete(hash);
      Path incomplete = folder.incomplete(hash, self);
      try {
        write(incomplete, bytes, content);
        Files.move(incomplete, folder.block(hash), StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(incomplete);
      }
    }
  }

  private static void write(Path file, long bytes, Content content) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      content.writeTo(part -> writeAll(channel, part));
      if (channel.size() != bytes) {
        throw new IllegalStateException(
            "a block of %d bytes was filled with %d".formatted(bytes, channel.size()));
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void writeAll(FileChannel channel, MemorySegment part) {
    try {
      for (long from = 0; from < part.byteSize(); from += WRITTEN_AT_ONCE) {
        long count = Math.min(WRITTEN_AT_ONCE, part.byteSize() - from);
        ByteBuffer left = part.asSlice(from, count).asByteBuffer();
        while (left.hasRemaining()) {
          channel.write(left);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // the arena is the block's, or closed here
  private Block mapped(Path file, String name, long bytes) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      if (channel.size() != bytes) {
        throw new BackendException(
            "%s: block '%s' has %,d bytes where %,d are wanted; do all ranks run the same version?"
                .formatted(folder, name, channel.size(), bytes));
      }
      Arena mapping = Arena.ofShared();
      try {
        return new Block(mapping, channel.map(FileChannel.MapMode.READ_ONLY, 0, bytes, mapping));
      } catch (IOException | RuntimeException e) {
        mapping.close();
        throw e;
      }
    }
  }

  /** Null where somebody has it, be it in this very process. */
  private static @Nullable FileLock tryLock(FileChannel locks, long from, long size)
      throws IOException {
    try {
      return locks.tryLock(from, size, false);
    } catch (OverlappingFileLockException e) {
      return null;
    }
  }

  private static void pause(long until, long turn, Supplier<String> late) {
    if (System.nanoTime() > until) {
      throw new BackendException(late.get());
    }
    try {
      Thread.sleep(Math.min(turn, 20));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new BackendException("interrupted while another process makes a shared block", e);
    }
  }

  /**
   * Leaves; the last one removes the folder. Blocks that are still mapped stay readable here until
   * they are closed.
   */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    try (FileChannel owned = locks) {
      alive.release();
      try (FileLock last = tryLock(owned, ShareFolder.ALIVE, ShareFolder.ALL_ALIVE)) {
        if (last != null) {
          folder.remove();
        }
      }
    } catch (IOException e) {
      throw folder.failure("cannot be left", e);
    }
  }
}
