package io.moextend.backend.cpu;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.HostShare;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The default backend: oneDNN on Linux x86-64. */
public final class CpuBackendProvider implements BackendProvider {
  @Override
  public String name() {
    return "cpu";
  }

  /** Above the portable ND4J backend, below an accelerator's. */
  @Override
  public int priority() {
    return 50;
  }

  @Override
  public String missing() {
    return LibraryFolder.missing();
  }

  @Override
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the share is closed with the device
  public Backend open(Options options) {
    var library = new OneDnn(LibraryFolder.library());
    return new CpuBackend(new CpuDevice(library, options.threads(), shared(options.share())));
  }

  @MustBeClosed
  private static @Nullable HostShare shared(@Nullable Path folder) {
    return folder == null ? null : HostShare.open(folder, HostShare.PATIENCE);
  }
}
