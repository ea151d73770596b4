package io.moextend.comm.group;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Where ranks and launchers of a run meet; in the launcher of the first host, or in rank 0 where
 * another launcher started the ranks. Listens on one address. What does not know the token is
 * dropped before it can cost anything, and the run goes on.
 */
public final class RendezvousServer implements AutoCloseable {
  private static final Duration HANDSHAKE = Duration.ofSeconds(5);
  private static final int MOST_PENDING = 64;
  private static final int MOST_REMEMBERED = 1000;
  private static final long TICK_MILLIS = 250;

  private final ServerSocket socket;
  private final Token token;
  private final GroupLimits limits;
  private final Consumer<String> log;
  private final NodeDesk desk;
  private final RunningClock clock = new RunningClock();
  private final Semaphore pending = new Semaphore(MOST_PENDING);
  private final Set<String> told = ConcurrentHashMap.newKeySet();
  private volatile @Nullable Roll roll;
  private volatile @Nullable String announced;
  private volatile boolean closed;

  private RendezvousServer(
      ServerSocket socket, Token token, GroupLimits limits, Consumer<String> log, NodeDesk desk) {
    this.socket = socket;
    this.token = token;
    this.limits = limits;
    this.log = log;
    this.desk = desk;
  }

  /**
   * Listens from now on.
   *
   * @param address port 0 = a free one
   * @param log gets one line at a time
   * @throws ConfigException where the address is not of this host, or the port is taken
   */
  @MustBeClosed
  public static RendezvousServer open(
      InetSocketAddress address,
      Token token,
      GroupLimits limits,
      Consumer<String> log,
      NodeDesk desk) {
    var server = new RendezvousServer(bound(address), token, limits, log, desk);
    Thread.ofPlatform().daemon().name("rendezvous").start(server::accept);
    Thread.ofPlatform().daemon().name("rendezvous watchdog").start(server::tick);
    return server;
  }

  private static ServerSocket bound(InetSocketAddress address) {
    try {
      InetAddress host = InetAddress.getByName(address.getHostString());
      return new ServerSocket(address.getPort(), 128, host);
    } catch (IOException e) {
      throw new ConfigException(
          "cannot listen on %s:%d for the other ranks (%s): take a free port, and an address of this host"
              .formatted(address.getHostString(), address.getPort(), e.getMessage()),
          e);
    }
  }

  public int port() {
    return socket.getLocalPort();
  }

  /** Dismisses the ranks of the generation before and waits for those of this one. */
  public void begin(int generation, int world) {
    Roll before = roll;
    roll = new Roll(generation, world, limits, log, clock, this::broke);
    if (before != null) {
      before.dissolve();
    }
  }

  private void broke(int generation, int rank, String why, boolean itself) {
    if (!itself && !why.equals(announced)) {
      log.accept("generation %d is broken off: %s".formatted(generation, why));
    }
    desk.broke(generation, rank, why, itself);
  }

  /** Tells the ranks of a generation that one of them is lost; the caller has logged it. */
  public void abort(int generation, int rank, String why) {
    announced = why;
    Roll now = roll;
    if (now != null && now.generation() == generation) {
      now.abort(rank, why);
    }
  }

  /** Asks all ranks to leave at the end of their step. */
  public void stopWanted() {
    Roll now = roll;
    if (now != null) {
      now.stopWanted();
    }
  }

  /** Waits until all ranks have hung up; not for ever. */
  void awaitEmpty(Duration most) throws InterruptedException {
    long deadline = System.nanoTime() + most.toNanos();
    Roll now = roll;
    while (now != null && !now.empty() && System.nanoTime() < deadline) {
      Thread.sleep(10);
    }
  }

  @Override
  public void close() {
    closed = true;
    try {
      socket.close();
    } catch (IOException e) {
      log.accept("closing the rendezvous: " + e.getMessage());
    }
    Roll now = roll;
    if (now != null) {
      now.dissolve();
    }
  }

  private void tick() {
    long sincePulse = 0;
    while (!closed) {
      clock.tick();
      Roll now = roll;
      sincePulse += TICK_MILLIS;
      if (now != null && sincePulse >= 1000) {
        sincePulse = 0;
        now.tick();
      }
      try {
        Thread.sleep(TICK_MILLIS);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private void accept() {
    while (!closed) {
      try {
        Socket caller = socket.accept();
        if (pending.tryAcquire()) {
          Thread.ofVirtual().start(() -> greet(caller));
        } else {
          caller.close();
          tell(caller, "too many callers", "more than %d at once".formatted(MOST_PENDING));
        }
      } catch (IOException e) {
        if (!closed) {
          tell("accept", "a connection could not be taken: " + e.getMessage());
        }
      }
    }
  }

  /** From the first byte to a known member; what is not one is dropped here. */
  private void greet(Socket caller) {
    boolean keep = false;
    try {
      var line = new Line(Channel.answer(caller, token, HANDSHAKE));
      keep = admit(line, line.first(HANDSHAKE));
    } catch (IntruderException e) {
      tell(caller, e.kind(), String.valueOf(e.getMessage()));
    } catch (IOException e) {
      tell(caller, "unfinished", String.valueOf(e.getMessage()));
    } finally {
      pending.release();
      if (!keep) {
        hangUp(caller);
      }
    }
  }

  private boolean admit(Line line, Message first) throws IOException {
    return switch (first) {
      case Message.JoinRank wish -> admit(line, wish);
      case Message.JoinNode wish -> {
        Message.Refused refused = desk.joins(wish, line);
        if (refused != null) {
          line.tell(refused);
          yield false;
        }
        line.start(new OfNode(wish.node(), line));
        yield true;
      }
      case Message other ->
          throw new IntruderException("unknown message", "it began with " + other);
    };
  }

  private boolean admit(Line line, Message.JoinRank wish) throws IOException {
    Roll now = roll;
    if (now == null) {
      line.tell(new Message.Refused(true, "no group has begun yet"));
      return false;
    }
    Message.Refused refused = now.join(wish, line);
    if (refused != null) {
      if (!refused.later()) {
        tell("refused " + wish.card().rank() + line.remote().getHostString(), refused.why());
      }
      line.tell(refused);
      return false;
    }
    line.start(new OfRank(now, wish.card().rank()));
    now.joined();
    return true;
  }

  private record OfRank(Roll roll, int rank) implements Line.Ear {
    @Override
    public void heard(Message message) {
      roll.heard(rank, message);
    }

    @Override
    public void ended(String why) {
      roll.ended(rank, why);
    }
  }

  private final class OfNode implements Line.Ear {
    private final int node;
    private final Line line;

    OfNode(int node, Line line) {
      this.node = node;
      this.line = line;
    }

    @Override
    public void heard(Message message) {
      desk.says(node, line, message);
    }

    @Override
    public void ended(String why) {
      desk.leaves(node, line, why);
    }
  }

  private void tell(Socket caller, String kind, String what) {
    String from = caller.getInetAddress().getHostAddress();
    tell(
        kind + from,
        "a connection from %s was dropped (%s: %s); the run goes on. More like it are not mentioned"
            .formatted(from, kind, what));
  }

  /** Once for each key; and not at all where too many were told. */
  private void tell(String key, String text) {
    if (!closed && told.size() < MOST_REMEMBERED && told.add(key)) {
      log.accept(text);
    }
  }

  private static void hangUp(Socket caller) {
    try {
      caller.close();
    } catch (IOException e) {
      // nothing was promised to it
    }
  }
}
