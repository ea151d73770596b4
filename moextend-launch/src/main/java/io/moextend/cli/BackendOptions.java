package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** --backend, --dtype, --threads, --cuda-libs, --cuda-cache. */
final class BackendOptions {
  @Option(
      names = "--backend",
      defaultValue = "auto",
      paramLabel = "auto|cpu|nd4j|cuda",
      description =
          "What computes; auto takes the best that can run here (default: ${DEFAULT-VALUE}).")
  private String backend = "auto";

  @Option(
      names = "--dtype",
      defaultValue = "f32",
      paramLabel = "f32|bf16",
      description = "Type of weights and activations (default: ${DEFAULT-VALUE}).")
  private String dtype = "f32";

  @Option(
      names = "--threads",
      defaultValue = "0",
      description = "Threads of the CPU kernels; 0 = one a core (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Mixin private CudaOptions cuda = new CudaOptions();

  @MustBeClosed
  Backend open() {
    var options = new BackendProvider.Options(threads(), 0, null, cuda.search());
    return Backends.open(backend, options, dtype());
  }

  /** For one of several ranks: its share of the cores, and what the ranks of a host have once. */
  @MustBeClosed
  Backend open(RankGroup group) {
    int own = threads > 0 ? threads : group.threads();
    var options = new BackendProvider.Options(own, group.device(), group.share(), cuda.search());
    return Backends.open(backend, options, dtype());
  }

  /** As typed. */
  String backend() {
    return backend;
  }

  /** At least 1. */
  int threads() {
    if (threads < 0) {
      throw new ConfigException("--threads", threads, "must be 0 (one a core) or more");
    }
    return threads > 0 ? threads : Runtime.getRuntime().availableProcessors();
  }

  DType dtype() {
    return switch (dtype) {
      case "f32" -> DType.F32;
      case "bf16" -> DType.BF16;
      case "f64" -> DType.F64;
      default ->
          throw new ConfigException("--dtype", dtype, "known are bf16 and f32 (nd4j also has f64)");
    };
  }
}
