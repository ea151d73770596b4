package io.moextend.backend.cpu;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;

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
  public Backend open(Options options) {
    return new CpuBackend(new CpuDevice(new OneDnn(LibraryFolder.library()), options.threads()));
  }
}
