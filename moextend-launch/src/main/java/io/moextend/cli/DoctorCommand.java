package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.backend.BackendException;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** What this machine has for training, and what is missing with its mend. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description =
        "Shows what this machine has: Java, memory, cores, backends; names what is missing and the mend.",
    footer = {"", "Example:  moextend doctor"})
final class DoctorCommand implements Callable<Integer> {
  @Mixin private final CudaOptions cuda = new CudaOptions();
  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    if (spec == null) {
      throw new IllegalStateException("run through picocli");
    }
    PrintWriter out = spec.commandLine().getOut();
    Runtime runtime = Runtime.getRuntime();
    out.printf(
        "java      %s, %s%n",
        System.getProperty("java.version"), System.getProperty("java.vendor"));
    out.printf("system    %s %s%n", System.getProperty("os.name"), System.getProperty("os.arch"));
    out.printf("cores     %d%n", runtime.availableProcessors());
    out.printf("heap      at most %,d MiB%n", runtime.maxMemory() >> 20);
    var options =
        new BackendProvider.Options(runtime.availableProcessors(), 0, null, cuda.search());
    for (BackendProvider provider : Backends.known()) {
      String missing = provider.missing(options);
      out.printf(
          "backend   %-6s %s%n",
          provider.name(), missing.isEmpty() ? describe(provider, options) : "missing: " + missing);
      provider
          .findings(options)
          .forEach(line -> out.printf("          %-6s %s%n", provider.name(), line));
    }
    out.flush();
    return 0;
  }

  private static String describe(BackendProvider provider, BackendProvider.Options options) {
    try (Backend backend = provider.open(options)) {
      return backend.device() + "; computes in " + backend.computeTypes();
    } catch (BackendException e) {
      return "missing: " + e.getMessage();
    }
  }
}
