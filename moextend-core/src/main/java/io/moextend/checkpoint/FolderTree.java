package io.moextend.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A folder and everything below it. Links are not followed.
 *
 * @param root of the tree
 */
public record FolderTree(Path root) {
  /** Parents first. */
  public List<Path> paths() throws IOException {
    try (Stream<Path> paths = Files.walk(root)) {
      return paths.sorted(Comparator.naturalOrder()).toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Removes all of it, where it is there; what another process removes meanwhile is no fault. */
  public void delete() throws IOException {
    if (Files.exists(root, LinkOption.NOFOLLOW_LINKS)) {
      for (Path path : paths().reversed()) {
        Files.deleteIfExists(path);
      }
    }
  }
}
