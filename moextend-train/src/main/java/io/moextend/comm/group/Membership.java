package io.moextend.comm.group;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.comm.PeerLostException;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** How a rank comes into its group. */
public final class Membership {
  private Membership() {}

  /**
   * Waits until all ranks of this generation are there. Rank 0 holds the rendezvous itself where no
   * launcher of ours does.
   *
   * @param details what the other ranks' wires need to know of this one; at most 4096 bytes
   * @param log gets one line at a time: who is waited for, what was dropped (rank 0 alone, and only
   *     where it holds the rendezvous)
   * @throws PeerLostException where a rank did not come in time; its number is in the message
   * @throws ConfigException where this rank is refused, the port is taken, or the token is wrong
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the rendezvous is closed here or with the group
  public static Group join(
      RankEnvironment environment, byte[] details, GroupLimits limits, Consumer<String> log)
      throws InterruptedException {
    Card card =
        new Card(environment.rank(), ProcessHandle.current().pid(), environment.host(), details);
    RendezvousServer hosted = null;
    if (environment.rank() == 0 && !environment.ofLauncher()) {
      if (environment.localWorld() < environment.world()) {
        RankEnvironment.requireReachable("MASTER_ADDR", environment.rendezvous().getHostString());
      }
      hosted =
          RendezvousServer.open(
              environment.rendezvous(), environment.token(), limits, log, NodeDesk.none());
      hosted.begin(environment.generation(), environment.world());
    }
    boolean in = false;
    try {
      Group group = join(environment, card, limits, hosted);
      in = true;
      return group;
    } finally {
      if (!in && hosted != null) {
        hosted.close();
      }
    }
  }

  private static Group join(
      RankEnvironment environment, Card card, GroupLimits limits, @Nullable RendezvousServer hosted)
      throws InterruptedException {
    long deadline = System.nanoTime() + limits.join().toNanos();
    String why = "";
    while (true) {
      Duration left = Duration.ofNanos(deadline - System.nanoTime());
      if (left.isNegative()) {
        throw new PeerLostException(
            -1,
            "rank %d was not taken in within %d s: %s"
                .formatted(card.rank(), limits.join().toSeconds(), why));
      }
      var gathering = new Gathering(environment, call(environment, limits, left));
      gathering
          .line()
          .send(new Message.JoinRank(environment.world(), environment.generation(), card));
      gathering.line().start(gathering);
      why = awaited(gathering, limits);
      if (why == null) {
        var group = new Group(gathering, limits, hosted);
        group.begin(gathering);
        return group;
      }
      gathering.line().cut();
      if (environment.ofLauncher() && !gathering.refusedForNow()) {
        throw new PeerLostException(-1, why + "; the launcher is gone");
      }
      Thread.sleep(200);
    }
  }

  /** A second longer than the rendezvous itself waits: it knows who is missing. */
  private static @Nullable String awaited(Gathering gathering, GroupLimits limits)
      throws InterruptedException {
    boolean answered = false;
    try {
      String again = gathering.await(limits.join().plus(limits.patience()));
      answered = true;
      return again;
    } finally {
      if (!answered) {
        gathering.line().cut();
      }
    }
  }

  private static Line call(RankEnvironment environment, GroupLimits limits, Duration patience)
      throws InterruptedException {
    InetSocketAddress address = environment.rendezvous();
    // a launcher listens before it starts its ranks: if nobody answers, it has gone
    boolean shorter = environment.ofLauncher() && patience.compareTo(limits.patience()) > 0;
    try {
      return Line.call(address, environment.token(), shorter ? limits.patience() : patience);
    } catch (IOException e) {
      if (e.getCause() instanceof IntruderException) {
        throw new ConfigException(String.valueOf(e.getMessage()), e);
      }
      throw new PeerLostException(0, String.valueOf(e.getMessage()));
    }
  }
}
