package io.moextend.launch;

import io.moextend.comm.group.GroupLimits;
import io.moextend.comm.group.RankEnvironment;
import io.moextend.comm.group.Token;
import io.moextend.config.ConfigException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What to start, and where.
 *
 * @param command of each rank, with its arguments
 * @param ranks of this host
 * @param hosts all hosts of the run, and which of them this is
 * @param maxRestarts of the whole group
 * @param logs folder for a file of each rank and generation
 * @param grace between SIGTERM and SIGKILL, for a checkpoint
 * @param token that all processes of the run share; null = none was given
 */
public record LaunchOptions(
    List<String> command,
    int ranks,
    Hosts hosts,
    int maxRestarts,
    Path logs,
    Duration grace,
    GroupLimits limits,
    @Nullable Token token) {
  /** torchrun's, for runs on several hosts. */
  public static final int USUAL_PORT = 29_500;

  public LaunchOptions {
    command = List.copyOf(command);
    if (command.isEmpty()) {
      throw new ConfigException("no command to launch; write it after --, as in  -- python3 x.py");
    }
    if (ranks < 1) {
      throw new ConfigException("--nproc-per-node", ranks, "must be at least 1, or auto");
    }
    if (maxRestarts < 0) {
      throw new ConfigException("--max-restarts", maxRestarts, "must not be negative");
    }
    if (grace.isNegative()) {
      throw new ConfigException("--grace", grace.toSeconds(), "must not be negative");
    }
    hosts.requireReachable();
    if (token == null && !hosts.withinLoopback()) {
      throw new ConfigException(
          ("--master-addr %s%s is not loopback and the run has no token: anybody who reaches the port"
                  + " could join. Set MOEXTEND_TOKEN, or --token-file, to the same secret on all hosts"
                  + " (openssl rand -hex 32 writes one)")
              .formatted(
                  hosts.masterAddress, hosts.bind == null ? "" : " or --bind " + hosts.bind));
    }
  }

  /**
   * The hosts of a run.
   *
   * @param count of them
   * @param here which one this is; 0 holds the rendezvous
   * @param masterAddress of host 0
   * @param masterPort MASTER_PORT of the ranks; the rendezvous is on the port above it. 0 = free
   *     ones, for one host alone
   * @param bind address on which this host listens; null = the master address on host 0, and on
   *     each the one that leads there
   */
  public record Hosts(
      int count, int here, String masterAddress, int masterPort, @Nullable String bind) {
    public Hosts {
      if (count < 1) {
        throw new ConfigException("--nnodes", count, "must be at least 1");
      }
      if (here < 0 || here >= count) {
        throw new ConfigException("--node-rank", here, "must be from 0 to " + (count - 1));
      }
      if (masterPort < 0 || masterPort > 65_534) {
        throw new ConfigException(
            "--master-port", masterPort, "must be from 1 to 65534; the port above it is used too");
      }
      if (masterPort == 0 && count > 1) {
        throw new ConfigException("--master-port", 0, "several hosts have to agree on a port");
      }
    }

    /** Refuses a name by which host 0 would listen where no other can call. */
    void requireReachable() {
      if (count > 1 && here == 0 && bind == null) {
        RankEnvironment.requireReachable("--master-addr", masterAddress);
      }
    }

    boolean withinLoopback() {
      return RankEnvironment.isLoopback(masterAddress)
          && (bind == null || RankEnvironment.isLoopback(bind));
    }
  }
}
