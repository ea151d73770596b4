package io.moextend.backend.cuda;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Makes what a card loads out of a kernel's source: machine code where the compiler knows the
 * card's architecture, else PTX for the latest it knows, which the driver compiles on.
 */
final class KernelCompiler {
  private final Nvrtc compiler;
  private final int architecture;
  private final boolean machineCode;
  private final int target;
  private final @Nullable KernelCache cache;

  /**
   * @param architecture compute capability times ten
   * @param cache null = nothing is kept
   */
  KernelCompiler(Nvrtc compiler, int architecture, @Nullable KernelCache cache) {
    this.compiler = compiler;
    this.architecture = architecture;
    this.cache = cache;
    int[] known = compiler.architectures();
    machineCode = Arrays.binarySearch(known, architecture) >= 0;
    target =
        machineCode
            ? architecture
            : Arrays.stream(known).filter(a -> a <= architecture).max().orElse(architecture);
  }

  /** What the compiler is told. */
  List<String> options() {
    String kind = machineCode ? "sm_" : "compute_";
    // only code for this very architecture may use its matrix instructions
    String variant = machineCode && target == 90 ? "a" : "";
    return List.of(
        "--std=c++17",
        "--gpu-architecture=" + kind + target + variant,
        "--fmad=true",
        "-default-device",
        "-DMOEXTEND_SM=" + target);
  }

  byte[] image(String name, String source) {
    List<String> options = options();
    if (cache == null) {
      return compiler.compile(name, source, options, machineCode);
    }
    String key = "NVRTC %s %s\n%s".formatted(compiler.version(), options, source);
    return cache.get(
        "%s-sm%d".formatted(name.replace('.', '-'), architecture),
        key,
        () -> compiler.compile(name, source, options, machineCode));
  }
}
