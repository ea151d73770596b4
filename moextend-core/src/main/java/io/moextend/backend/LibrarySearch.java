package io.moextend.backend;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where a device's native libraries may lie beside the places that the system's loader knows. What
 * stands here comes from the command line and the environment, which backends do not read.
 *
 * @param given folders that were named; each may hold the libraries itself or be a Python
 *     environment
 * @param commands folders of commands (PATH); a Python found there is asked for its packages
 * @param cache folder for compiled kernels, made on first use; null = nothing is kept
 */
public record LibrarySearch(List<Path> given, List<Path> commands, @Nullable Path cache) {
  /** The system's loader alone, and no cache. */
  public static final LibrarySearch NONE = new LibrarySearch(List.of(), List.of(), null);

  public LibrarySearch {
    given = List.copyOf(given);
    commands = List.copyOf(commands);
  }
}
