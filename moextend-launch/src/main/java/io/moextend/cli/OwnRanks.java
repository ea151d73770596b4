package io.moextend.cli;

import io.moextend.comm.group.GroupLimits;
import io.moextend.comm.group.RankEnvironment;
import io.moextend.launch.Launcher;
import io.moextend.train.DistributedSection.Wire;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/**
 * How a command of ours is run by several processes: as the one that starts ranks, and as a rank.
 */
final class OwnRanks {
  private OwnRanks() {}

  /**
   * The command line that is being run, again as each of the ranks; here nothing of a model is
   * loaded.
   *
   * @param logs folder for the ranks' logs where --log-dir names none
   * @param out gets what ranks print, with their number before it
   * @return the exit code
   */
  static int start(
      @Nullable CommandSpec spec, LaunchOptionsMixin launch, Path logs, PrintStream out) {
    List<String> words =
        spec == null ? List.of() : spec.root().commandLine().getParseResult().originalArgs();
    Map<String, String> environment = System.getenv();
    var launcher =
        new Launcher(
            launch.options(OwnCommand.with(words), logs, environment),
            environment,
            out,
            System.err);
    try {
      return launcher.run();
    } finally {
      RankFolder.sweep(System.err::println); // of ranks that were killed, nobody is left who would
    }
  }

  /** As {@link #start}, and of what ranks print the first one's result alone is let out. */
  static int measure(@Nullable CommandSpec spec, LaunchOptionsMixin launch) {
    var results = new ResultLines(Commands.out(spec));
    return start(
        spec,
        launch,
        Path.of("moextend-logs"),
        new PrintStream(results, true, StandardCharsets.UTF_8));
  }

  /**
   * As what this process was started: a rank, or alone.
   *
   * @param asked whether this process was told to leave
   */
  static RankGroup join(Wire wire, BooleanSupplier asked) {
    Map<String, String> environment = System.getenv();
    Optional<RankEnvironment> rank = RankEnvironment.of(environment);
    if (rank.isEmpty() || rank.get().world() == 1 && !rank.get().ofLauncher()) {
      return RankGroup.alone(asked);
    }
    try {
      return RankGroup.join(
          rank.get(), GroupLimits.of(environment), wire, asked, System.err::println);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for other ranks", e);
    }
  }
}
