package io.moextend.comm.group;

import io.moextend.config.ConfigException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Which of the run's ranks this process is, and where the others are found. Read from the words
 * that our launcher, torchrun, Slurm's srun or a Kubernetes Indexed Job set; docs/security.md says
 * where the token comes from.
 *
 * @param rank of all
 * @param localRank among those of this host
 * @param world number of ranks
 * @param localWorld of this host
 * @param node number of this host
 * @param rendezvous where the ranks meet; unresolved where it is a name
 * @param token that all share
 * @param generation how often the group was started again
 * @param runId the same for all ranks and generations
 * @param bind address this rank's own wires listen on; null = the one that leads to the rendezvous
 * @param ofLauncher whether our launcher holds the rendezvous; else rank 0 does
 * @param host ranks with the same word see the same memory
 */
public record RankEnvironment(
    int rank,
    int localRank,
    int world,
    int localWorld,
    int node,
    InetSocketAddress rendezvous,
    Token token,
    int generation,
    String runId,
    @Nullable String bind,
    boolean ofLauncher,
    String host) {

  public RankEnvironment {
    require(world >= 1 && rank < world, "RANK", rank, "must be less than WORLD_SIZE=" + world);
    require(
        localWorld >= 1 && localWorld <= world,
        "LOCAL_WORLD_SIZE",
        localWorld,
        "must be from 1 to WORLD_SIZE=" + world);
    require(
        localRank < localWorld,
        "LOCAL_RANK",
        localRank,
        "must be less than LOCAL_WORLD_SIZE=" + localWorld);
    require(
        rendezvous.getPort() >= 1, "MASTER_PORT", rendezvous.getPort(), "must be from 1 to 65534");
  }

  private static void require(boolean holds, String name, Object value, String mend) {
    if (!holds) {
      throw new ConfigException(name, value, mend);
    }
  }

  /**
   * Of a process that is one of several, or was started as such; empty for one started by hand.
   *
   * @param environment as {@link System#getenv()} has it
   * @throws ConfigException where the words are there in part, contradict each other, or name an
   *     address beyond loopback without a token
   */
  public static Optional<RankEnvironment> of(Map<String, String> environment) {
    var words = new Words(environment);
    if (words.has("RANK")) {
      return Optional.of(TorchWords.read(words));
    }
    if (SlurmWords.present(words)) {
      return Optional.of(SlurmWords.read(words));
    }
    if (words.has("JOB_COMPLETION_INDEX") && words.has("WORLD_SIZE")) {
      return Optional.of(TorchWords.ofIndexedJob(words));
    }
    return Optional.empty();
  }

  /**
   * The address this rank's own wires listen on. Sends nothing.
   *
   * @throws ConfigException where there is no way to the rendezvous
   */
  public InetAddress localAddress() {
    try {
      if (bind != null && !InetAddress.getByName(bind).isAnyLocalAddress()) {
        return InetAddress.getByName(bind);
      }
      InetAddress there = InetAddress.getByName(rendezvous.getHostString());
      if (there.isLoopbackAddress()) {
        return there;
      }
      try (var way = new DatagramSocket()) {
        way.connect(there, rendezvous.getPort());
        return way.getLocalAddress();
      }
    } catch (UnknownHostException | SocketException e) {
      throw new ConfigException(
          "no address of this host leads to the rendezvous at %s (%s); set MOEXTEND_BIND to one"
              .formatted(rendezvous, e.getMessage()),
          e);
    }
  }

  /**
   * Refuses a name that other hosts know by an address and this one, as /etc/hosts often has it, by
   * loopback: what listened there could not be reached.
   */
  public static void requireReachable(String where, String address) {
    boolean meant =
        address.startsWith("127.") || address.equals("localhost") || address.equals("::1");
    if (!meant && isLoopback(address)) {
      throw new ConfigException(
          where,
          address,
          "is loopback on this host (see /etc/hosts), and there are others; give an address they can call");
    }
  }

  /** Whether a name or address stays within this host; a name nobody knows yet does not. */
  public static boolean isLoopback(String address) {
    try {
      return InetAddress.getByName(address).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }

  /**
   * The token from MOEXTEND_TOKEN or the file MOEXTEND_TOKEN_FILE names; none is needed on
   * loopback.
   *
   * @param addresses that are listened on or called; nulls are passed over
   * @throws ConfigException where one is not loopback and there is no token
   */
  public static Token token(Map<String, String> environment, @Nullable String... addresses) {
    Optional<Token> given = givenToken(environment);
    if (given.isPresent()) {
      return given.get();
    }
    for (String address : addresses) {
      if (address != null && !isLoopback(address)) {
        throw new ConfigException(
            ("%s is not loopback and the run has no token: anybody who reaches the port could join."
                    + " Set MOEXTEND_TOKEN, or MOEXTEND_TOKEN_FILE, to the same secret on all hosts"
                    + " (openssl rand -hex 32 writes one)")
                .formatted(address));
      }
    }
    return Token.ofLoopback();
  }

  /** What MOEXTEND_TOKEN or MOEXTEND_TOKEN_FILE says, if anything. */
  public static Optional<Token> givenToken(Map<String, String> environment) {
    var words = new Words(environment);
    String text = words.text("MOEXTEND_TOKEN");
    if (text != null) {
      return Optional.of(Token.of("MOEXTEND_TOKEN", text));
    }
    String file = words.text("MOEXTEND_TOKEN_FILE");
    return file == null ? Optional.empty() : Optional.of(Token.read(Path.of(file)));
  }
}
