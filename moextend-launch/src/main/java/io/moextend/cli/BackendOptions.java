package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import picocli.CommandLine.Option;

/** --backend, --dtype, --threads. */
final class BackendOptions {
  @Option(
      names = "--backend",
      defaultValue = "auto",
      paramLabel = "auto|cpu|nd4j",
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

  @MustBeClosed
  Backend open() {
    if (threads < 0) {
      throw new ConfigException("--threads", threads, "must be 0 (one a core) or more");
    }
    int count = threads > 0 ? threads : Runtime.getRuntime().availableProcessors();
    return Backends.open(backend, new BackendProvider.Options(count, 0), dtype());
  }

  DType dtype() {
    return switch (dtype) {
      case "f32" -> DType.F32;
      case "bf16" -> DType.BF16;
      case "f64" -> DType.F64;
      default ->
          throw new ConfigException("--dtype", dtype, "known are f32 and bf16 (nd4j also has f64)");
    };
  }
}
