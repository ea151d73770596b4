package io.moextend.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A folder that appears under its name only when it is complete. Until {@link #commit} everything
 * is written into NAME.incomplete beside it; leaving without a commit removes that and nothing
 * else.
 *
 * <p>A folder that stood there before is moved to NAME.previous, replaced, and deleted. A crash
 * between the two renames leaves NAME.previous alone, which the next {@link #create} moves back.
 * One writer at a time.
 */
public final class AtomicFolder implements AutoCloseable {
  /** Fills a folder. */
  @FunctionalInterface
  public interface Content {
    void writeTo(Path folder) throws IOException;
  }

  private static final Set<String> MARKS = Set.of("config.json", "delta.json", "frozen.json");

  private final Path target;
  private final Path incomplete;
  private final Path previous;
  private boolean committed;

  private AtomicFolder(Path target) {
    this.target = target;
    this.incomplete = target.resolveSibling(target.getFileName() + ".incomplete");
    this.previous = target.resolveSibling(target.getFileName() + ".previous");
  }

  /**
   * Starts a folder, after removing what a crash left of an earlier try.
   *
   * @param target may exist if it is empty or a checkpoint, which is then replaced
   * @throws CheckpointException where the target is something else, or the disk refuses
   */
  public static AtomicFolder create(Path target) {
    var folder = new AtomicFolder(resolved(target));
    try {
      folder.recover();
      folder.checkReplaceable();
      Files.createDirectories(folder.incomplete);
      return folder;
    } catch (IOException e) {
      throw failure(folder.incomplete, e);
    }
  }

  /**
   * Writes a whole folder or none.
   *
   * @throws CheckpointException where the disk refuses, with the path and the room left; what stood
   *     under the target before is then untouched
   */
  public static void write(Path target, Content content) {
    try (var folder = create(target)) {
      content.writeTo(folder.path());
      folder.commit();
    } catch (IOException e) {
      throw failure(target, e);
    }
  }

  /** Where to write until {@link #commit}. */
  public Path path() {
    return incomplete;
  }

  /**
   * Forces every file to disk and puts the folder in its place.
   *
   * @throws CheckpointException where the disk refuses
   */
  public void commit() {
    if (committed) {
      throw new IllegalStateException(target + " is committed already");
    }
    try {
      forceAll();
      boolean replaces = Files.exists(target, LinkOption.NOFOLLOW_LINKS);
      if (replaces) {
        Files.move(target, previous, StandardCopyOption.ATOMIC_MOVE);
      }
      try {
        Files.move(incomplete, target, StandardCopyOption.ATOMIC_MOVE);
      } catch (IOException e) {
        if (replaces) {
          Files.move(previous, target, StandardCopyOption.ATOMIC_MOVE);
        }
        throw e;
      }
      committed = true;
      force(parent());
      new FolderTree(previous).delete();
    } catch (IOException e) {
      throw failure(target, e);
    }
  }

  /** Removes what was written, unless it was committed. */
  @Override
  public void close() {
    if (!committed) {
      try {
        new FolderTree(incomplete).delete();
      } catch (IOException e) {
        throw failure(incomplete, e);
      }
    }
  }

  /** What a disk's refusal becomes: the path, the reason and the room that is left. */
  public static CheckpointException failure(Path path, IOException cause) {
    return new CheckpointException(
        "%s: cannot be written (%s); %s. Make room or choose another folder"
            .formatted(path, reason(cause), roomAt(path)),
        cause);
  }

  private static String reason(IOException cause) {
    String message = cause.getMessage();
    return message == null ? cause.getClass().getSimpleName() : message;
  }

  private static String roomAt(Path path) {
    Path existing = path.toAbsolutePath();
    while (existing.getParent() != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    try {
      long bytes = Files.getFileStore(existing).getUsableSpace();
      return String.format(Locale.ROOT, "%.1f GB are free there", bytes / 1e9);
    } catch (IOException e) {
      return "the room left is unknown (" + reason(e) + ")";
    }
  }

  private static Path resolved(Path target) {
    Path absolute = target.toAbsolutePath().normalize();
    if (absolute.getFileName() == null) {
      throw new CheckpointException(target + ": is no place for a checkpoint; name a folder");
    }
    try {
      // a link stays a link, and what it points to is replaced
      return Files.isSymbolicLink(absolute) ? absolute.toRealPath() : absolute;
    } catch (IOException e) {
      throw new CheckpointException(target + ": is a link to nothing; remove it", e);
    }
  }

  private void recover() throws IOException {
    new FolderTree(incomplete).delete();
    if (Files.exists(previous, LinkOption.NOFOLLOW_LINKS)) {
      if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
        new FolderTree(previous).delete();
      } else {
        Files.move(previous, target, StandardCopyOption.ATOMIC_MOVE);
      }
    }
  }

  private void checkReplaceable() throws IOException {
    if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!Files.isDirectory(target, LinkOption.NOFOLLOW_LINKS)) {
      throw new CheckpointException(target + ": is no folder; choose another name");
    }
    if (Path.of("").toAbsolutePath().startsWith(target)) {
      throw new CheckpointException(
          target + ": is the working directory or holds it; name a folder of its own");
    }
    List<Path> inside = entries(target);
    if (!inside.isEmpty() && inside.stream().noneMatch(AtomicFolder::marksCheckpoint)) {
      throw new CheckpointException(
          target
              + ": holds other files and no checkpoint, and would be replaced; name a new folder");
    }
  }

  private static boolean marksCheckpoint(Path entry) {
    String name = entry.getFileName().toString();
    return name.endsWith(".safetensors") || MARKS.contains(name);
  }

  private Path parent() {
    Path parent = target.getParent();
    return parent == null ? target : parent;
  }

  private void forceAll() throws IOException {
    for (Path path : new FolderTree(incomplete).paths()) {
      if (!Files.isSymbolicLink(path)) {
        force(path);
      }
    }
  }

  private static void force(Path path) throws IOException {
    try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private static List<Path> entries(Path folder) throws IOException {
    try (Stream<Path> paths = Files.list(folder)) {
      return paths.toList();
    }
  }
}
