package io.moextend.backend.cuda;

import io.moextend.backend.Card.Found;
import io.moextend.backend.LibrarySearch;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Finds NVIDIA's libraries by their sonames: in folders that were named, where the system's loader
 * looks, in the packages of a Python on the path, in an installed toolkit. All places are asked for
 * the preferred version before any for the next.
 */
final class CudaLibraries {
  /** Where toolkits install themselves. */
  static final Path SYSTEM = Path.of("/usr/local");

  private final List<Path> first;
  private final List<Path> rest;
  private final Predicate<String> loader;

  CudaLibraries(LibrarySearch search) {
    this(search, SYSTEM, NativeLibrary::isOnLoadersPath);
  }

  /**
   * @param system folder of the toolkits' folders cuda, cuda-12.4
   * @param loader whether the system's loader finds a name
   */
  CudaLibraries(LibrarySearch search, Path system, Predicate<String> loader) {
    var given = new LinkedHashSet<Path>();
    for (Path folder : search.given()) {
      given.add(folder);
      given.add(folder.resolve("lib"));
      given.add(folder.resolve("lib64"));
      given.addAll(packages(folder));
    }
    var found = new LinkedHashSet<Path>();
    for (Path folder : search.commands()) {
      for (Path root : pythonRoots(folder)) {
        found.addAll(packages(root));
        found.add(root.resolve("lib"));
      }
    }
    for (Path toolkit : matches(system, "cuda*")) {
      found.add(toolkit.resolve("lib64"));
    }
    this.first = List.copyOf(given);
    this.rest = List.copyOf(found);
    this.loader = loader;
  }

  /** The environments of the Pythons in a folder of commands: as called, and as linked. */
  private static Set<Path> pythonRoots(Path folder) {
    var roots = new LinkedHashSet<Path>();
    for (String name : List.of("python3", "python")) {
      Path python = folder.resolve(name);
      if (!Files.isRegularFile(python)) {
        continue;
      }
      addParent(roots, python.toAbsolutePath());
      try {
        addParent(roots, python.toRealPath());
      } catch (IOException e) {
        // a link to nowhere has no packages
      }
    }
    return roots;
  }

  private static void addParent(Set<Path> roots, Path python) {
    Path commands = python.getParent();
    Path root = commands == null ? null : commands.getParent();
    if (root != null) {
      roots.add(root);
    }
  }

  /** Folders of NVIDIA's wheels in a Python environment, or in a folder of packages. */
  private static List<Path> packages(Path root) {
    var homes = new ArrayList<Path>(List.of(root));
    for (String lib : List.of("lib", "lib64")) {
      for (Path python : matches(root.resolve(lib), "python3*")) {
        homes.add(python.resolve("site-packages"));
        homes.add(python.resolve("dist-packages"));
      }
    }
    var folders = new ArrayList<Path>();
    for (Path home : homes) {
      matches(home.resolve("nvidia"), "*").forEach(p -> folders.add(p.resolve("lib")));
    }
    return folders;
  }

  /** What matches in a folder, the later versions first; nothing where there is no such folder. */
  private static List<Path> matches(Path folder, String glob) {
    try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, glob)) {
      var sorted = new ArrayList<Path>();
      found.forEach(sorted::add);
      sorted.sort((a, b) -> b.compareTo(a));
      return sorted;
    } catch (NoSuchFileException | NotDirectoryException e) {
      return List.of();
    } catch (IOException e) {
      return List.of(); // a folder that may not be read has nothing for us
    }
  }

  /**
   * @param stem "nvrtc" for {@code libnvrtc.so.12}
   * @param versions that will do, the preferred one first
   */
  Found find(String stem, int... versions) {
    for (int version : versions) {
      String soname = "lib%s.so.%d".formatted(stem, version);
      for (Path folder : first) {
        if (Files.isRegularFile(folder.resolve(soname))) {
          return found(folder.resolve(soname));
        }
      }
      if (loader.test(soname)) {
        return new Found(Path.of(soname), soname + " on the loader's path");
      }
      for (Path folder : rest) {
        if (Files.isRegularFile(folder.resolve(soname))) {
          return found(folder.resolve(soname));
        }
      }
    }
    String names =
        IntStream.of(versions)
            .mapToObj(v -> "lib%s.so.%d".formatted(stem, v))
            .collect(Collectors.joining(" or "));
    return new Found(
        null,
        "%s is neither on the loader's path nor in %d folders that were looked at; %s, or name its folder with --cuda-libs DIR"
            .formatted(names, first.size() + rest.size(), install(stem, versions)));
  }

  private static Found found(Path file) {
    return new Found(file.toAbsolutePath(), file.toAbsolutePath().toString());
  }

  private static String install(String stem, int... versions) {
    boolean old = versions.length > 0 && versions[0] == 12;
    return switch (stem) {
      case "nvrtc" -> "pip install nvidia-cuda-nvrtc" + (old ? "-cu12" : "");
      case "cublasLt" -> "pip install nvidia-cublas" + (old ? "-cu12" : "");
      case "nccl" -> "pip install nvidia-nccl-cu" + (old ? "12" : "13");
      default -> "install it";
    };
  }
}
