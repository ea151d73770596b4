package io.moextend;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The project's Java files. */
final class Sources {
  private Sources() {}

  /** The project's folder. */
  static Path root() {
    Path root = Golden.root().getParent();
    if (root == null) {
      throw new IllegalStateException(Golden.root() + " has no folder above it");
    }
    return root;
  }

  /**
   * @param kind "main" or "test"
   */
  static List<Path> java(String kind) {
    return modules().map(m -> m.resolve("src/" + kind + "/java")).flatMap(Sources::below).toList();
  }

  private static Stream<Path> modules() {
    try (Stream<Path> children = Files.list(root())) {
      return children
          .filter(c -> c.getFileName().toString().startsWith("moextend-"))
          .sorted()
          .toList()
          .stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Stream<Path> below(Path folder) {
    if (!Files.isDirectory(folder)) {
      return Stream.of();
    }
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(f -> f.toString().endsWith(".java")).sorted().toList().stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
