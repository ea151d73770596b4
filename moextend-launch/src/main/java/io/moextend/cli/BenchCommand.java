package io.moextend.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Timings, beside which scripts/bench has those of the Python peers. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    description = {
      "Times this machine at one thing and prints one JSON line with the keys of the Python peer in scripts/bench.",
      "Machines are noisy: run ours and the peer's in turn, and compare medians."
    },
    subcommands = {BenchStepCommand.class, BenchGenerateCommand.class, BenchAllReduceCommand.class})
final class BenchCommand implements Runnable {
  @Spec private @Nullable CommandSpec spec;

  @Override
  public void run() {
    if (spec != null) {
      spec.commandLine().usage(spec.commandLine().getOut());
    }
  }
}
