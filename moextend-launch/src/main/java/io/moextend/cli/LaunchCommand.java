package io.moextend.cli;

import io.moextend.config.ConfigException;
import io.moextend.launch.Launcher;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Any command as several ranks. */
@Command(
    name = "launch",
    mixinStandardHelpOptions = true,
    description = {
      "Starts a command as the ranks of a run, with torchrun's environment (RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, ...).",
      "Each line a rank says has its number before it, and is in a file of that rank too. A rank that dies is named, all",
      "others are stopped, and all start again while --max-restarts allows. SIGTERM and SIGINT reach the ranks as SIGTERM;",
      "a second one kills them. The exit code is that of the first rank that failed; 128 + the signal where it was killed."
    },
    footer = {"", "Example:  moextend launch --nproc-per-node 2 -- python3 train.py --steps 100"})
final class LaunchCommand implements Callable<Integer> {
  @Mixin private LaunchOptionsMixin launch = new LaunchOptionsMixin();

  /** What follows the first word of the command is the command's. */
  @Spec
  void stopsAtTheCommand(CommandSpec spec) {
    spec.parser().stopAtPositional(true);
  }

  @Parameters(paramLabel = "COMMAND", description = "With its arguments, after --.")
  private List<String> command = List.of();

  @Override
  public Integer call() {
    Map<String, String> environment = System.getenv();
    if (command.isEmpty()) {
      throw new ConfigException("no command to launch; write it after --, as in  -- python3 x.py");
    }
    return new Launcher(
            launch.options(command, Path.of("moextend-logs"), environment),
            environment,
            System.out,
            System.err)
        .run();
  }
}
