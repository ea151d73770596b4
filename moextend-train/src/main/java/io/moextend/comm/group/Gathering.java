package io.moextend.comm.group;

import io.moextend.comm.PeerLostException;
import io.moextend.config.ConfigException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One rank's try to join: hears the line until all are there, then hands it on. */
final class Gathering implements Line.Ear {
  private final RankEnvironment environment;
  private final Line line;
  private final GroupVigil vigil = new GroupVigil();
  private final List<Card> cards = new ArrayList<>();
  private final List<Message> unheard = new ArrayList<>();
  private boolean ready;
  private Message.@Nullable Refused refused;
  private Message.@Nullable Abort abort;
  private @Nullable String ended;
  private @Nullable Consumer<Message> hearing;
  private @Nullable Consumer<String> ending;

  Gathering(RankEnvironment environment, Line line) {
    this.environment = environment;
    this.line = line;
  }

  RankEnvironment environment() {
    return environment;
  }

  Line line() {
    return line;
  }

  GroupVigil vigil() {
    return vigil;
  }

  synchronized List<Card> cards() {
    return List.copyOf(cards);
  }

  @Override
  public synchronized void heard(Message message) {
    if (hearing != null) {
      hearing.accept(message);
      return;
    }
    switch (message) {
      case Message.Member(Card card) -> cards.add(card);
      case Message.Ready() -> ready = true;
      case Message.Refused no -> refused = no;
      case Message.Abort no when !ready -> abort = no;
      case Message.Pulse() -> {}
      default -> unheard.add(message);
    }
    notifyAll();
  }

  @Override
  public synchronized void ended(String why) {
    ended = why;
    if (ending != null) {
      ending.accept(why);
    }
    notifyAll();
  }

  /** From now on another hears; what came in between is told first. */
  synchronized void handTo(Consumer<Message> hearing, Consumer<String> ending) {
    this.hearing = hearing;
    this.ending = ending;
    unheard.forEach(hearing);
    if (ended != null) {
      ending.accept(ended);
    }
  }

  /**
   * Waits for all ranks.
   *
   * @return null where all are there; else why to try again
   * @throws PeerLostException where some did not come
   * @throws ConfigException where this rank is not wanted
   */
  synchronized @Nullable String await(Duration most) throws InterruptedException {
    long deadline = System.nanoTime() + most.toNanos();
    while (!ready && refused == null && abort == null && ended == null) {
      long left = (deadline - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        throw new PeerLostException(
            -1, "the rendezvous at %s says nothing: is its host cut off?".formatted(line.remote()));
      }
      wait(left);
    }
    if (ready) {
      return requireComplete();
    }
    if (abort != null) {
      throw new PeerLostException(abort.rank(), abort.why());
    }
    if (refused != null) {
      if (refused.later()) {
        return refused.why();
      }
      throw new ConfigException(
          "the rendezvous at %s refused: %s".formatted(line.remote(), refused.why()));
    }
    return "the rendezvous hung up: " + ended;
  }

  /** Whether the rendezvous said that it makes sense to come again. */
  synchronized boolean refusedForNow() {
    return refused != null && refused.later();
  }

  private @Nullable String requireComplete() {
    for (int rank = 0; rank < environment.world(); rank++) {
      if (rank >= cards.size() || cards.get(rank).rank() != rank) {
        throw new IllegalStateException(
            "%d cards for %d ranks".formatted(cards.size(), environment.world()));
      }
    }
    return null;
  }
}
