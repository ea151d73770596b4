package io.moextend.launch;

import io.moextend.comm.group.GroupLimits;
import io.moextend.comm.group.Line;
import io.moextend.comm.group.Message;
import io.moextend.comm.group.RendezvousServer;
import io.moextend.comm.group.Token;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Starts a command as the ranks of a run, with torchrun's environment, and stays until they have
 * ended. On host 0 it also decides for the launchers of the other hosts.
 */
public final class Launcher {
  private final LaunchOptions options;
  private final Map<String, String> environment;
  private final PrintStream out;
  private final PrintStream err;

  /**
   * @param environment that ranks inherit
   * @param out gets what ranks say on their standard output, each line with the rank before it
   * @param err gets the rest, and what the launcher says itself
   */
  public Launcher(
      LaunchOptions options, Map<String, String> environment, PrintStream out, PrintStream err) {
    this.options = options;
    this.environment = Map.copyOf(environment);
    this.out = out;
    this.err = err;
  }

  /**
   * Blocks until the run is over. SIGTERM and SIGINT are passed on to the ranks as SIGTERM.
   *
   * @return 0 where all ranks ended well, 4 where they left on request, else the code of the first
   *     that failed (128 + signal where it was killed), 5 where a host was lost
   * @throws ConfigException where the address cannot be listened on, or the other launchers have
   *     another token
   */
  public int run() {
    LaunchOptions.Hosts hosts = options.hosts();
    Token given = options.token();
    Token token = given != null ? given : hosts.count() == 1 ? Token.random() : Token.ofLoopback();
    if (hosts.here() != 0) {
      return follow(words(token, hosts.masterPort(), hosts.masterPort() + 1));
    }
    int masterPort = hosts.masterPort();
    if (masterPort == 0) {
      masterPort = free(hosts, 0);
    } else {
      free(hosts, masterPort);
    }
    int wanted = hosts.masterPort() == 0 ? 0 : masterPort + 1;
    var coordinator = new Coordinator(options, this::say);
    String address = hosts.bind() == null ? hosts.masterAddress() : hosts.bind();
    try (var server =
        RendezvousServer.open(
            InetSocketAddress.createUnresolved(address, wanted),
            token,
            options.limits(),
            this::say,
            coordinator.desk())) {
      Thread deciding =
          Thread.ofPlatform().daemon().name("coordinator").start(() -> coordinator.run(server));
      int code = follow(words(token, masterPort, server.port()));
      coordinator.close(deciding);
      return code;
    }
  }

  private RankWords words(Token token, int masterPort, int rendezvousPort) {
    String given = environment.get("MOEXTEND_RUN_ID");
    String runId =
        given != null ? given : "%s-%d".formatted(options.hosts().masterAddress(), masterPort);
    return new RankWords(options, token, masterPort, rendezvousPort, runId);
  }

  /** A port of host 0 that the command may listen on. */
  private static int free(LaunchOptions.Hosts hosts, int port) {
    String address = hosts.bind() == null ? hosts.masterAddress() : hosts.bind();
    try (var probe = new ServerSocket(port, 1, InetAddress.getByName(address))) {
      return probe.getLocalPort();
    } catch (IOException e) {
      throw new ConfigException(
          "cannot listen on %s:%d (%s): take a free --master-port, and an address of this host"
              .formatted(address, port, e.getMessage()),
          e);
    }
  }

  /** Does what the coordinator says. */
  private int follow(RankWords words) {
    var agent = new AtomicReference<@Nullable NodeAgent>();
    Thread here = Thread.currentThread();
    var hook =
        new Thread(
            () -> {
              NodeAgent now = agent.get();
              if (now != null) {
                now.kill();
              }
            });
    Runtime.getRuntime().addShutdownHook(hook);
    try (var signals =
            Signals.heardBy(
                name -> {
                  NodeAgent now = agent.get();
                  if (now == null) {
                    here.interrupt();
                  } else {
                    now.signalled(name);
                  }
                });
        Line line = call(words)) {
      var following = new NodeAgent(words, line, environment, out, err);
      agent.set(following);
      return following.run(card());
    } catch (InterruptedException e) {
      say("told to leave before the ranks had started");
      return 128 + 15;
    } catch (IOException e) {
      throw new ConfigException(String.valueOf(e.getMessage()), e);
    } finally {
      Runtime.getRuntime().removeShutdownHook(hook);
    }
  }

  private Line call(RankWords words) throws IOException, InterruptedException {
    LaunchOptions.Hosts hosts = options.hosts();
    boolean own = hosts.here() == 0 && hosts.bind() != null;
    String address = own ? String.valueOf(hosts.bind()) : hosts.masterAddress();
    GroupLimits limits = options.limits();
    return Line.call(
        InetSocketAddress.createUnresolved(address, words.rendezvousPort()),
        words.token(),
        limits.join());
  }

  private Message.JoinNode card() {
    LaunchOptions.Hosts hosts = options.hosts();
    String name;
    try {
      name = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    } catch (IOException e) {
      name = "unnamed";
    }
    return new Message.JoinNode(
        hosts.here(), hosts.count(), options.ranks(), ProcessHandle.current().pid(), name);
  }

  private void say(String what) {
    err.println("moextend: " + what);
  }
}
