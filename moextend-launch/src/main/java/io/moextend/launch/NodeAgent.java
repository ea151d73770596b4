package io.moextend.launch;

import io.moextend.comm.group.Line;
import io.moextend.comm.group.Message;
import io.moextend.comm.group.RunningClock;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The launcher of one host: does what the {@link Coordinator} of host 0 says, over the same
 * authenticated line whether that is this process or another.
 */
final class NodeAgent implements Line.Ear {
  /** For ranks that have lost their group and have nothing to save. */
  static final Duration SHORT_GRACE = Duration.ofSeconds(10);

  private static final long TICK_MILLIS = 100;

  private final RankWords words;
  private final Line line;
  private final Map<String, String> inherited;
  private final PrintStream out;
  private final PrintStream err;
  private final LinkedBlockingQueue<Event> events = new LinkedBlockingQueue<>();
  private final RunningClock clock = new RunningClock();
  private volatile @Nullable LocalRanks ranks;
  private @Nullable Integer finish;
  private @Nullable String cutOff;
  private boolean leaving;
  private long lastHeard;

  /** What the agent's one thread acts on. */
  private sealed interface Event {
    record Heard(Message message) implements Event {}

    record Ended(String why) implements Event {}

    record Signalled(String name) implements Event {}
  }

  NodeAgent(
      RankWords words, Line line, Map<String, String> inherited, PrintStream out, PrintStream err) {
    this.words = words;
    this.line = line;
    this.inherited = inherited;
    this.out = out;
    this.err = err;
  }

  @Override
  public void heard(Message message) {
    events.add(new Event.Heard(message));
  }

  @Override
  public void ended(String why) {
    events.add(new Event.Ended(why));
  }

  /** From a signal's thread: the first asks the ranks to leave, the second kills them. */
  void signalled(String name) {
    events.add(new Event.Signalled(name));
  }

  /** Until the run is over; its exit code. */
  int run(Message.JoinNode wish) throws InterruptedException {
    line.send(wish);
    line.start(this);
    long beats = 0;
    while (true) {
      Event event = events.poll(TICK_MILLIS, TimeUnit.MILLISECONDS);
      clock.tick();
      if (event != null) {
        on(event);
      }
      LocalRanks now = ranks;
      boolean idle = now == null || now.idle();
      if (finish != null && idle) {
        return finish;
      }
      if (now != null) {
        now.tick();
      }
      long seconds = clock.nanos() / 1_000_000_000;
      if (seconds > beats) {
        beats = seconds;
        line.send(new Message.Pulse());
        requireAnswer();
      }
      if (cutOff != null && idle) {
        return leaving && now != null ? now.code() : ExitCodes.PEER_LOST;
      }
    }
  }

  /** Kills what still runs; for a launcher that ends in an unforeseen way. */
  void kill() {
    LocalRanks now = ranks;
    if (now != null) {
      now.kill();
    }
  }

  private void on(Event event) {
    switch (event) {
      case Event.Heard(Message message) -> {
        lastHeard = clock.nanos();
        on(message);
      }
      case Event.Ended(String why) -> loseCoordinator(why);
      case Event.Signalled(String name) -> {
        if (leaving) {
          say("%s again: the ranks are killed".formatted(name));
          kill();
        } else {
          leave(name);
        }
      }
    }
  }

  private void on(Message message) {
    switch (message) {
      case Message.Start start -> {
        Consumer<Message> told = line::send;
        ranks = LocalRanks.start(words, inherited, start, told, out, err);
        if (leaving) {
          stop(words.options().grace());
        }
      }
      case Message.StopRanks stop -> {
        LocalRanks now = ranks;
        if (now != null && now.generation() == stop.generation()) {
          now.stop(Duration.ofMillis(stop.graceMillis()));
        }
      }
      case Message.Refused(boolean later, String why) -> {
        say("the launcher of node 0 refused this one: " + why);
        finish = later ? ExitCodes.PEER_LOST : ExitCodes.USERS;
      }
      case Message.Finish(int code, String why) -> {
        if (words.options().hosts().here() != 0 && !why.isEmpty()) {
          say(why);
        }
        finish = code;
        stop(SHORT_GRACE);
      }
      default -> {}
    }
  }

  private void stop(Duration grace) {
    LocalRanks now = ranks;
    if (now != null) {
      now.stop(grace);
    }
  }

  private void leave(String name) {
    leaving = true;
    Duration grace = words.options().grace();
    say(
        "%s: the ranks are asked to leave, and killed after %d s"
            .formatted(name, grace.toSeconds()));
    line.send(new Message.StopWanted());
    stop(grace);
  }

  private void requireAnswer() {
    Duration silence = Duration.ofNanos(clock.nanos() - lastHeard);
    if (silence.compareTo(words.options().limits().patience()) > 0) {
      loseCoordinator("no sign of life for %d s".formatted(silence.toSeconds()));
    }
  }

  private void loseCoordinator(String why) {
    if (cutOff != null || finish != null) {
      return;
    }
    cutOff = why;
    say(
        "the launcher of node 0 at %s is gone: %s; the ranks of this host are ended"
            .formatted(line.remote(), why));
    stop(leaving ? words.options().grace() : SHORT_GRACE);
  }

  private void say(String what) {
    err.println("moextend: " + what);
  }
}
