package io.moextend.backend;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.DType;
import java.util.Comparator;
import java.util.List;
import java.util.ServiceLoader;
import java.util.stream.Collectors;

/** Looks backends up by name; {@code auto} takes the best that can run here. */
public final class Backends {
  private Backends() {}

  /** Every backend on the class path, best first. */
  public static List<BackendProvider> known() {
    return ServiceLoader.load(BackendProvider.class).stream()
        .map(ServiceLoader.Provider::get)
        .sorted(Comparator.comparingInt(BackendProvider::priority).reversed())
        .toList();
  }

  /**
   * @throws BackendException where {@code name} is unknown or cannot run here
   */
  @MustBeClosed
  public static Backend open(String name, BackendProvider.Options options) {
    return find(name, options).open(options);
  }

  /** As {@link #open(String, BackendProvider.Options)}, for products in {@code dtype}. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here where it is not handed out
  public static Backend open(String name, BackendProvider.Options options, DType dtype) {
    Backend backend = open(name, options);
    if (backend.computeTypes().contains(dtype)) {
      return backend;
    }
    String computes = "backend %s computes in %s".formatted(backend.name(), backend.computeTypes());
    backend.close();
    throw new BackendException("dtype %s cannot be had: %s".formatted(dtype, computes));
  }

  private static BackendProvider find(String name, BackendProvider.Options options) {
    List<BackendProvider> known = known();
    if (name.equals("auto")) {
      return known.stream()
          .filter(p -> p.missing(options).isEmpty())
          .findFirst()
          .orElseThrow(
              () -> new BackendException("no backend can run here: " + reasons(known, options)));
    }
    BackendProvider provider =
        known.stream()
            .filter(p -> p.name().equals(name))
            .findFirst()
            .orElseThrow(
                () ->
                    new BackendException(
                        "unknown backend '%s'; known are auto, %s"
                            .formatted(
                                name,
                                known.stream()
                                    .map(BackendProvider::name)
                                    .collect(Collectors.joining(", ")))));
    String missing = provider.missing(options);
    if (!missing.isEmpty()) {
      throw new BackendException("backend %s cannot run here: %s".formatted(name, missing));
    }
    return provider;
  }

  private static String reasons(List<BackendProvider> known, BackendProvider.Options options) {
    return known.stream()
        .map(p -> p.name() + ": " + p.missing(options))
        .collect(Collectors.joining("; "));
  }
}
