package io.moextend.launch;

import io.moextend.comm.group.Message;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** The ranks of this host in one generation. Thread-safe. */
final class LocalRanks {
  private final int generation;
  private final Consumer<Message> told;
  private final List<RankProcess> running = new ArrayList<>();
  private final List<Integer> codes = new ArrayList<>();
  private int unended;
  private boolean started;
  private long killAt = Long.MAX_VALUE;
  private boolean stopping;

  private LocalRanks(int generation, int ranks, Consumer<Message> told) {
    this.generation = generation;
    this.unended = ranks;
    this.told = told;
  }

  /**
   * Starts them all. One that cannot be started counts as ended by the user's fault.
   *
   * @param inherited the environment that the ranks' own words are added to
   * @param told gets {@link Message.RankEnded} for each and {@link Message.NodeIdle} at last
   */
  static LocalRanks start(
      RankWords words,
      Map<String, String> inherited,
      Message.Start start,
      Consumer<Message> told,
      PrintStream out,
      PrintStream err) {
    LaunchOptions options = words.options();
    var ranks = new LocalRanks(start.generation(), options.ranks(), told);
    for (int local = 0; local < options.ranks(); local++) {
      int rank = start.firstRank() + local;
      var environment = new HashMap<>(inherited);
      words.put(environment, start, local);
      var file =
          options
              .logs()
              .resolve("generation-" + start.generation())
              .resolve("rank-" + rank + ".log");
      try {
        ranks.add(
            RankProcess.start(
                rank, options.command(), environment, new RankProcess.Streams(file, out, err)));
      } catch (IOException e) {
        ranks.ended(rank, -1, 2, "it could not be started: " + e.getMessage());
      }
    }
    ranks.begun();
    return ranks;
  }

  private synchronized void add(RankProcess rank) {
    running.add(rank);
    rank.whenEnded(this::ended);
  }

  private synchronized void begun() {
    started = true;
    tellIdle();
  }

  private void ended(RankProcess rank) {
    synchronized (this) {
      running.remove(rank);
    }
    ended(rank.rank(), rank.pid(), rank.code(), rank.lastLines());
  }

  private synchronized void ended(int rank, long pid, int code, String lastLines) {
    codes.add(code);
    unended--;
    told.accept(new Message.RankEnded(generation, rank, pid, code, lastLines));
    tellIdle();
  }

  private void tellIdle() {
    if (started && unended == 0) {
      told.accept(new Message.NodeIdle(generation));
    }
  }

  int generation() {
    return generation;
  }

  synchronized boolean idle() {
    return unended == 0;
  }

  /** The first that is neither 0 nor 4, else 4 where there is one, else 0. */
  synchronized int code() {
    int code = 0;
    for (int one : codes) {
      if (one != 0 && one != ExitCodes.LEFT) {
        return one;
      }
      code = Math.max(code, one);
    }
    return code;
  }

  /** SIGTERM now, SIGKILL after the grace; asked again, the shorter grace counts. */
  synchronized void stop(Duration grace) {
    killAt = Math.min(killAt, System.nanoTime() + grace.toNanos());
    if (!stopping) {
      stopping = true;
      running.forEach(RankProcess::terminate);
    }
  }

  synchronized void kill() {
    running.forEach(RankProcess::kill);
  }

  /** To be called now and then. */
  synchronized void tick() {
    if (stopping && System.nanoTime() - killAt > 0) {
      kill();
    }
  }
}
