package io.moextend.backend.cuda;

import io.moextend.backend.BackendException;
import io.moextend.backend.Card.Found;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What of NVIDIA's software and cards is here, and what is missing with its mend. */
final class CudaInstallation {
  /** A100 and later: bf16 in the matrix units, asynchronous copies to shared memory. */
  private static final int LEAST_ARCHITECTURE = 80;

  private static final int LEAST_DRIVER = 12030;
  private static final int[] NEW_FIRST = {13, 12};
  private static final int[] OLD_ALONE = {12};

  private final int index;
  private final @Nullable DriverApi driver;
  private final String cardMissing;
  private final String cardLine;
  private final Found compiler;
  private final Found products;
  private final Found collectives;

  /**
   * @param index of the card
   */
  CudaInstallation(int index, CudaLibraries libraries) {
    this.index = index;
    DriverApi found = null;
    String missing = "";
    String line = "";
    if (!NativeLibrary.isOnLoadersPath(DriverApi.LIBRARY)) {
      missing =
          "%s is not on the loader's path: install the NVIDIA driver (545 or later), or use --backend cpu"
              .formatted(DriverApi.LIBRARY);
    } else {
      try {
        found = new DriverApi(DriverApi.LIBRARY);
        missing = unsuited(found, index);
        line = missing.isEmpty() ? card(found, index) : missing;
      } catch (BackendException e) {
        missing = String.valueOf(e.getMessage());
      }
    }
    driver = found;
    cardMissing = missing;
    cardLine = line.isEmpty() ? missing : line;
    // a library of CUDA 13 does not run on a driver of CUDA 12
    int[] versions = found != null && found.version() < 13000 ? OLD_ALONE : NEW_FIRST;
    compiler = libraries.find("nvrtc", versions);
    products = libraries.find("cublasLt", versions);
    collectives = libraries.find("nccl", 2);
  }

  /** Why this card cannot be used; empty where it can. */
  private static String unsuited(DriverApi driver, int index) {
    int count = driver.count();
    if (index >= count) {
      return "there is no card %d, the driver has %d; give fewer ranks a host, or look at CUDA_VISIBLE_DEVICES"
          .formatted(index, count);
    }
    if (driver.version() < LEAST_DRIVER) {
      return "the NVIDIA driver runs CUDA %s and 12.3 is needed: install driver 545 or later"
          .formatted(version(driver.version()));
    }
    int device = driver.device(index);
    if (driver.architecture(device) < LEAST_ARCHITECTURE) {
      return "card %d, %s, has compute capability %s and 8.0 is needed (A100 and later); use --backend cpu"
          .formatted(index, driver.name(device), dotted(driver.architecture(device)));
    }
    return "";
  }

  private static String card(DriverApi driver, int index) {
    int device = driver.device(index);
    return "%s, compute capability %s, %,d MiB; driver for CUDA %s"
        .formatted(
            driver.name(device),
            dotted(driver.architecture(device)),
            driver.memory(device) >> 20,
            version(driver.version()));
  }

  private static String version(int number) {
    return number / 1000 + "." + number % 1000 / 10;
  }

  private static String dotted(int architecture) {
    return architecture / 10 + "." + architecture % 10;
  }

  /** The first thing that is missing, with the mend; empty where all is here. */
  String missing() {
    if (!cardMissing.isEmpty()) {
      return cardMissing;
    }
    return compiler.file() == null
        ? compiler.text()
        : products.file() == null ? products.text() : "";
  }

  /** What was found, a line each. */
  List<String> lines() {
    var lines = new ArrayList<String>();
    lines.add("card     " + cardLine);
    lines.add("nvrtc    " + compiler.text());
    lines.add("cublasLt " + products.text());
    lines.add(
        "nccl     "
            + collectives.text()
            + (collectives.file() == null
                ? ""
                : "; sums over cards are not in the order of ranks"));
    return lines;
  }

  /**
   * The card, ready to be used; only where nothing is missing.
   *
   * @param cache for compiled kernels; null = nothing is kept
   */
  Driver driver(@Nullable KernelCache cache) {
    if (driver == null || compiler.file() == null || products.file() == null) {
      throw new BackendException("backend cuda cannot run here: " + missing());
    }
    var nvrtc = new Nvrtc(compiler.file());
    Path library = products.file();
    int architecture = driver.architecture(driver.device(index));
    String versions =
        "driver for CUDA %s, NVRTC %s, %s"
            .formatted(version(driver.version()), nvrtc.version(), library.getFileName());
    return new NvidiaDriver(
        driver,
        index,
        new KernelCompiler(nvrtc, architecture, cache)::image,
        new NativeLibrary(library.toString()),
        versions);
  }
}
