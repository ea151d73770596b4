package io.moextend.backend.cuda;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendException;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.LibrarySearch;
import java.util.List;

/** The best choice wherever there is a card that can run it. */
public final class CudaBackendProvider implements BackendProvider {
  static final String NAME = "cuda";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int priority() {
    return 100;
  }

  @Override
  public String missing() {
    return missing(new Options(1, 0));
  }

  @Override
  public String missing(Options options) {
    return found(options).missing();
  }

  @Override
  public List<String> findings(Options options) {
    return found(options).lines();
  }

  private static CudaInstallation found(Options options) {
    return new CudaInstallation(options.device(), new CudaLibraries(options.search()));
  }

  @Override
  @MustBeClosed
  public Backend open(Options options) {
    CudaInstallation found = found(options);
    if (!found.missing().isEmpty()) {
      throw new BackendException("backend cuda cannot run here: " + found.missing());
    }
    LibrarySearch search = options.search();
    var cache = search.cache() == null ? null : new KernelCache(search.cache());
    return new CudaBackend(new CudaDevice(found.driver(cache)), new CudaLibraries(search));
  }
}
