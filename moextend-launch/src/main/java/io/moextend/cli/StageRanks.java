package io.moextend.cli;

import io.moextend.comm.group.GroupLimits;
import io.moextend.comm.group.RankEnvironment;
import io.moextend.config.ConfigException;
import io.moextend.launch.LaunchOptions;
import io.moextend.launch.Launcher;
import io.moextend.stage.Stage;
import io.moextend.train.RunConfig;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * Runs a stage as several processes of this host, just as {@code moextend train --nproc-per-node}
 * does.
 *
 * @param folder gets the stage's configuration, by which it can be repeated
 * @param out gets the ranks' lines, each with its rank before it
 */
record StageRanks(Path folder, int ranks, PrintStream out) {
  private static final Duration GRACE = Duration.ofSeconds(30);

  /**
   * Blocks until all ranks have ended.
   *
   * @param name of the stage in this run
   * @throws StageFailedException where the stage did not come to its end
   */
  void train(String name, Stage stage, RunConfig config) {
    Path file = folder.resolve(name + ".yaml");
    try {
      Files.writeString(file, config.yaml());
    } catch (IOException e) {
      throw new ConfigException(file + ": cannot be written: " + e, e);
    }
    Path logs = config.checkpoints().outputDir().resolve("logs");
    Map<String, String> environment = System.getenv();
    var options =
        new LaunchOptions(
            OwnCommand.with(List.of("train", "--stage", stage.word(), "--config", file.toString())),
            ranks,
            new LaunchOptions.Hosts(1, 0, "127.0.0.1", 0, null),
            0,
            logs,
            GRACE,
            GroupLimits.of(environment),
            RankEnvironment.givenToken(environment).orElse(null));
    int code = new Launcher(options, environment, out, System.err).run();
    if (code != 0) {
      throw new StageFailedException(
          code,
          "stage %s ended with code %d; what its ranks said is in %s, what they were told in %s"
              .formatted(name, code, logs, file));
    }
  }
}
