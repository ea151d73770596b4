package io.moextend.backend.cuda;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.LibrarySearch;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.opentest4j.TestAbortedException;

/** The backend of cards, whole but for the card: its kernels run in the emulator. */
public final class EmulatedCuda implements BackendProvider {
  /** How the card names itself. */
  public static final String DEVICE = "an emulated card";

  private static final long MEMORY = 1L << 30;

  private @Nullable String missing;

  @Override
  public String name() {
    return "cuda (emulated)";
  }

  @Override
  public int priority() {
    return 0;
  }

  @Override
  public String missing() {
    String known = missing;
    if (known == null) {
      try {
        Emulator.library();
        known = "";
      } catch (TestAbortedException e) {
        known = String.valueOf(e.getMessage());
        System.out.println(known);
      }
      missing = known;
    }
    return known;
  }

  @Override
  @MustBeClosed
  public Backend open(Options options) {
    return open(new EmulatedDriver(Emulator.library(), MEMORY, true));
  }

  /** The backend on a driver that the test keeps an eye on. */
  @MustBeClosed
  static CudaBackend open(Driver driver) {
    return new CudaBackend(
        new CudaDevice(driver), new CudaLibraries(LibrarySearch.NONE, Path.of("none"), n -> false));
  }
}
