package io.moextend.cli;

import io.moextend.comm.group.GroupLimits;
import io.moextend.comm.group.RankEnvironment;
import io.moextend.comm.group.Token;
import io.moextend.config.ConfigException;
import io.moextend.launch.LaunchOptions;
import io.moextend.launch.LocalDevices;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options of whatever starts ranks: torchrun's names, with dashes or underscores. */
final class LaunchOptionsMixin {
  @Option(
      names = {"--nproc-per-node", "--nproc_per_node"},
      paramLabel = "N|auto",
      description = "Ranks of this host; auto: one for each GPU, else 1.")
  private @Nullable String ranks;

  @Option(
      names = "--nnodes",
      paramLabel = "N",
      defaultValue = "1",
      description = "Hosts of the run (default: ${DEFAULT-VALUE}).")
  private int nodes = 1;

  @Option(
      names = {"--node-rank", "--node_rank"},
      paramLabel = "R",
      defaultValue = "0",
      description = "Which host this is, from 0 (default: ${DEFAULT-VALUE}).")
  private int node;

  @Option(
      names = {"--master-addr", "--master_addr"},
      paramLabel = "A",
      defaultValue = "127.0.0.1",
      description =
          "Address of host 0, which listens there; beyond loopback a token is required (default: ${DEFAULT-VALUE}).")
  private String masterAddress = "127.0.0.1";

  @Option(
      names = {"--master-port", "--master_port"},
      paramLabel = "P",
      description =
          "MASTER_PORT of the ranks; the rendezvous is on the port above it (default: free ones on one host, 29500 on several).")
  private @Nullable Integer masterPort;

  @Option(
      names = {"--max-restarts", "--max_restarts"},
      paramLabel = "K",
      defaultValue = "0",
      description =
          "How often all ranks are started again when one fails (default: ${DEFAULT-VALUE}).")
  private int maxRestarts;

  @Option(
      names = {"--log-dir", "--log_dir"},
      paramLabel = "DIR",
      description = "Gets generation-G/rank-R.log (default: moextend-logs, or OUT/logs of train).")
  private @Nullable Path logs;

  @Option(
      names = {"--token-file", "--token_file"},
      paramLabel = "FILE",
      description = "Holds the run's secret; else MOEXTEND_TOKEN or MOEXTEND_TOKEN_FILE.")
  private @Nullable Path tokenFile;

  @Option(
      names = "--bind",
      paramLabel = "A",
      description = "Address of this host to listen on, where it is not the one others call.")
  private @Nullable String bind;

  @Option(
      names = "--grace",
      paramLabel = "S",
      defaultValue = "30",
      description =
          "Seconds from SIGTERM to SIGKILL, for a checkpoint (default: ${DEFAULT-VALUE}).")
  private int graceSeconds = 30;

  @Option(
      names = "--patience",
      paramLabel = "S",
      description =
          "Seconds a silent rank or host is waited for when others need it (default: 60).")
  private @Nullable Integer patienceSeconds;

  @Option(
      names = {"--join-timeout", "--join_timeout"},
      paramLabel = "S",
      description = "Seconds for all ranks or hosts to come (default: 300).")
  private @Nullable Integer joinSeconds;

  @Option(
      names = {"--collective-timeout", "--collective_timeout"},
      paramLabel = "S",
      description =
          "Seconds of one call among ranks, even where the one waited for is alive (default: 600).")
  private @Nullable Integer collectiveSeconds;

  /**
   * Whether several processes are asked for; false in a process that was started as one of them.
   */
  boolean asked(Map<String, String> environment) {
    return !isRank(environment) && (ranks != null || nodes > 1);
  }

  /** Whether a launcher of ours started this process. */
  static boolean isRank(Map<String, String> environment) {
    return "launcher".equals(environment.get("MOEXTEND_RENDEZVOUS"));
  }

  /**
   * @param command of each rank
   * @param usualLogs where --log-dir says nothing
   */
  LaunchOptions options(List<String> command, Path usualLogs, Map<String, String> environment) {
    int port = masterPort != null ? masterPort : nodes > 1 ? LaunchOptions.USUAL_PORT : 0;
    if (masterPort != null && masterPort == 0) {
      throw new ConfigException("--master-port", 0, "leave it away for a free one");
    }
    Token token =
        tokenFile != null
            ? Token.read(tokenFile)
            : RankEnvironment.givenToken(environment).orElse(null);
    return new LaunchOptions(
        command,
        ranks(environment),
        new LaunchOptions.Hosts(nodes, node, masterAddress, port, bind),
        maxRestarts,
        logs == null ? usualLogs : logs,
        Duration.ofSeconds(graceSeconds),
        limits(environment),
        token);
  }

  private int ranks(Map<String, String> environment) {
    if (ranks == null) {
      return 1;
    }
    if (ranks.equals("auto") || ranks.equals("gpu")) {
      return Math.max(1, LocalDevices.count(environment));
    }
    try {
      return Integer.parseInt(ranks);
    } catch (NumberFormatException e) {
      throw new ConfigException("--nproc-per-node", ranks, "is neither a number nor auto");
    }
  }

  private GroupLimits limits(Map<String, String> environment) {
    GroupLimits usual = GroupLimits.of(environment);
    return new GroupLimits(
        seconds("--join-timeout", joinSeconds, usual.join()),
        seconds("--patience", patienceSeconds, usual.patience()),
        seconds("--collective-timeout", collectiveSeconds, usual.collective()));
  }

  private static Duration seconds(String name, @Nullable Integer given, Duration usual) {
    if (given != null && given < 1) {
      throw new ConfigException(name, given, "must be at least 1 second");
    }
    return given == null ? usual : Duration.ofSeconds(given);
  }
}
