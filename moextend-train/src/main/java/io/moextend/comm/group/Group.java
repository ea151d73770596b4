package io.moextend.comm.group;

import io.moextend.comm.PeerLostException;
import io.moextend.comm.Vigil;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The ranks of a run as one of them sees them, from {@link Membership#join} to {@link #close}. Two
 * threads of its own carry heartbeats while the rank computes. When the group is broken (a rank
 * died, was silent for too long, or gave up) every call on the {@link #vigil} throws {@link
 * PeerLostException} with the reason.
 */
public final class Group implements AutoCloseable {
  private static final Duration BEAT = Duration.ofSeconds(1);

  private final RankEnvironment environment;
  private final GroupLimits limits;
  private final Line line;
  private final List<Card> cards;
  private final @Nullable RendezvousServer hosted;
  private final GroupVigil vigil;
  private final RunningClock clock;
  private final CountDownLatch closing = new CountDownLatch(1);
  private final Thread beater;
  private @Nullable Consumer<String> whenLost;
  private @Nullable String lost;
  private volatile boolean stopRequested;
  private volatile boolean finished;
  private volatile String unfinished = "left the run before its end";
  private volatile long lastHeard;

  Group(Gathering gathering, GroupLimits limits, @Nullable RendezvousServer hosted) {
    this.environment = gathering.environment();
    this.limits = limits;
    this.line = gathering.line();
    this.cards = gathering.cards();
    this.hosted = hosted;
    this.vigil = gathering.vigil();
    this.clock = new RunningClock();
    this.beater = Thread.ofPlatform().daemon().name("heartbeats").unstarted(this::beat);
  }

  /** Called once, by who built it. */
  void begin(Gathering gathering) {
    gathering.handTo(this::heard, this::ended);
    beater.start();
  }

  public int rank() {
    return environment.rank();
  }

  public int world() {
    return environment.world();
  }

  /** What was joined, with generation, addresses and the run's id. */
  public RankEnvironment environment() {
    return environment;
  }

  /** Of all ranks, in their order. */
  public List<Card> cards() {
    return cards;
  }

  /** For the collectives of this rank. */
  public Vigil vigil() {
    return vigil;
  }

  /**
   * Whether somebody was told to leave. Ranks learn it at different times, so whoever acts on it
   * has to agree with the others first (a sum of flags at the end of a step).
   */
  public boolean stopRequested() {
    return stopRequested;
  }

  /** This process was told to leave (SIGTERM): all ranks are asked to, this one included. */
  public void requestStop() {
    stopRequested = true;
    line.send(new Message.StopWanted());
  }

  /**
   * Called once with the reason when the group is broken, on a thread of the group: for a rank that
   * computes, or hangs, and would learn of it late or never.
   */
  public void whenLost(Consumer<String> action) {
    String already;
    synchronized (this) {
      whenLost = action;
      already = lost;
    }
    if (already != null) {
      action.accept(already);
    }
  }

  /**
   * Does nothing while the group is whole.
   *
   * @throws PeerLostException with the reason where it is broken
   */
  public void requireWhole() {
    vigil.requireWhole();
  }

  /** Tells the others that this rank gives up, and why; they stop at once. */
  public void fail(String why) {
    line.send(new Message.Failed("rank %d gave up: %s".formatted(rank(), why)));
    lose(rank(), why);
  }

  /** What {@link #close} tells the others, where this rank has not {@link #finished}. */
  public void givesUp(String why) {
    unfinished = "gave up: " + why;
  }

  /** This rank has done all it had to do: to {@link #close} is then no failure. */
  public void finished() {
    finished = true;
  }

  /**
   * Leaves. Without {@link #finished} the others are told that this rank left early, and stop.
   * Where this rank holds the rendezvous it waits until the others have left too.
   */
  @Override
  public void close() {
    if (closing.getCount() == 0) {
      return;
    }
    closing.countDown();
    if (finished) {
      line.send(new Message.Goodbye());
    } else if (lostReason() == null) {
      line.send(new Message.Failed("rank %d %s".formatted(rank(), unfinished)));
    }
    line.close();
    if (hosted != null) {
      try {
        hosted.awaitEmpty(finished ? limits.collective() : Duration.ofSeconds(5));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      hosted.close();
    }
  }

  private void heard(Message message) {
    lastHeard = clock.nanos();
    switch (message) {
      case Message.Abort(int rank, String why) -> lose(rank, why);
      case Message.StopWanted() -> stopRequested = true;
      default -> {}
    }
  }

  private void ended(String why) {
    if (closing.getCount() > 0) {
      lose(
          -1,
          "the rendezvous at %s is gone: %s; %s ended"
              .formatted(
                  line.remote(),
                  why,
                  environment.ofLauncher() ? "the launcher of the first host" : "rank 0"));
    }
  }

  private void lose(int rank, String why) {
    if (!vigil.lose(rank, why)) {
      return;
    }
    Consumer<String> action;
    synchronized (this) {
      lost = why;
      action = whenLost;
    }
    if (action != null && !finished) {
      action.accept(why);
    }
  }

  private synchronized @Nullable String lostReason() {
    return lost;
  }

  private void beat() {
    try {
      do {
        clock.tick();
        line.send(new Message.Beat(vigil.doing()));
        long silence = clock.nanos() - lastHeard;
        if (silence > limits.patience().toNanos()) {
          lose(
              -1,
              "the rendezvous at %s gave no sign of life for %d s: is its host cut off?"
                  .formatted(line.remote(), Duration.ofNanos(silence).toSeconds()));
        }
      } while (!closing.await(BEAT.toMillis(), TimeUnit.MILLISECONDS));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
