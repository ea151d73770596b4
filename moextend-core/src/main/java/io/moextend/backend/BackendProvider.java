package io.moextend.backend;

import com.google.errorprone.annotations.MustBeClosed;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Found by {@link java.util.ServiceLoader}; opening a backend is the first thing that loads its
 * native libraries.
 */
public interface BackendProvider {
  String name();

  /** Preference among those that are available, for {@code --backend auto}; larger is better. */
  int priority();

  /**
   * Why this backend cannot run here, with the mend; empty where it can. Must not load large
   * libraries.
   */
  String missing();

  /** As {@link #missing()}, looking where {@code options} say as well. */
  default String missing(Options options) {
    return missing();
  }

  /** Which native libraries were found where, a line each; what is not there with the mend. */
  default List<String> findings(Options options) {
    return List.of();
  }

  /**
   * @throws BackendException where it cannot be opened after all
   */
  @MustBeClosed
  Backend open(Options options);

  /**
   * @param threads worker threads of this process, at least 1
   * @param device index of the accelerator; 0 on the CPU
   * @param share folder of a {@link HostShare}, in which the ranks of one host have frozen weights
   *     once; null = in memory of each process' own. A backend that reads frozen weights where the
   *     checkpoint is mapped has no use for it
   * @param search where a device's libraries may lie
   */
  record Options(int threads, int device, @Nullable Path share, LibrarySearch search) {
    public Options(int threads, int device) {
      this(threads, device, null);
    }

    public Options(int threads, int device, @Nullable Path share) {
      this(threads, device, share, LibrarySearch.NONE);
    }

    public Options {
      if (threads < 1) {
        throw new IllegalArgumentException("threads=" + threads + ", at least 1 is needed");
      }
    }
  }
}
