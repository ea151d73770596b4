package io.moextend.cli;

import io.moextend.backend.LibrarySearch;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** --cuda-libs, --cuda-cache: where the cards' libraries are, and compiled kernels go. */
final class CudaOptions {
  @Option(
      names = "--cuda-libs",
      paramLabel = "DIR",
      description =
          "A folder with libnvrtc and libcublasLt, or a Python environment with NVIDIA's wheels;"
              + " may be given several times. Asked before those in MOEXTEND_CUDA_LIBS, the loader's"
              + " path and the Python on PATH.")
  private List<Path> libraries = new ArrayList<>();

  @Option(
      names = "--cuda-cache",
      paramLabel = "DIR",
      description =
          "Folder of kernels compiled for the card (default: moextend/cuda in XDG_CACHE_HOME or"
              + " ~/.cache).")
  private @Nullable Path cache;

  /** As the command line and this process' environment have it. */
  LibrarySearch search() {
    return search(System.getenv(), System.getProperty("moextend.home"));
  }

  /**
   * @param home folder of the project, whose build may have fetched the libraries; null = unknown
   */
  LibrarySearch search(Map<String, String> environment, @Nullable String home) {
    var given = new ArrayList<Path>(libraries);
    given.addAll(folders(environment, "MOEXTEND_CUDA_LIBS"));
    if (home != null) {
      Path fetched = Path.of(home, "moextend-launch", "target", "cuda-libs");
      if (Files.isDirectory(fetched)) {
        given.add(fetched);
      }
    }
    return new LibrarySearch(given, commands(environment), cache(environment));
  }

  private static List<Path> commands(Map<String, String> environment) {
    var folders = new ArrayList<Path>();
    String python = environment.getOrDefault("VIRTUAL_ENV", "");
    if (!python.isEmpty()) {
      folders.add(Path.of(python, "bin"));
    }
    folders.addAll(folders(environment, "PATH"));
    return folders;
  }

  private static List<Path> folders(Map<String, String> environment, String variable) {
    String all = environment.getOrDefault(variable, "");
    return Arrays.stream(all.split(File.pathSeparator, -1))
        .filter(folder -> !folder.isEmpty())
        .map(Path::of)
        .toList();
  }

  private @Nullable Path cache(Map<String, String> environment) {
    if (cache != null) {
      return cache;
    }
    String caches = environment.getOrDefault("XDG_CACHE_HOME", "");
    if (!caches.isEmpty()) {
      return Path.of(caches, "moextend", "cuda");
    }
    String user = environment.getOrDefault("HOME", "");
    return user.isEmpty() ? null : Path.of(user, ".cache", "moextend", "cuda");
  }
}
