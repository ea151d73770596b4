package io.moextend.launch;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/** One rank as a process of this host, from its start until it and its outputs have ended. */
final class RankProcess {
  /** A grandchild may hold a rank's outputs open; its last words are not waited for longer. */
  private static final Duration LAST_WORDS = Duration.ofSeconds(2);

  private final int rank;
  private final Process process;
  private final RankLog log;
  private final Thread out;
  private final Thread err;
  private final Set<ProcessHandle> asked = new LinkedHashSet<>();

  /** Where its words go. */
  record Streams(Path file, PrintStream out, PrintStream err) {}

  private RankProcess(int rank, Process process, RankLog log, Streams streams) {
    this.rank = rank;
    this.process = process;
    this.log = log;
    this.out = log.follow(process.getInputStream(), streams.out);
    this.err = log.follow(process.getErrorStream(), streams.err);
  }

  /**
   * @param environment all of it
   * @throws IOException where the command cannot be run
   */
  static RankProcess start(
      int rank, List<String> command, Map<String, String> environment, Streams streams)
      throws IOException {
    var log = new RankLog(rank, streams.file);
    var builder = new ProcessBuilder(command).redirectInput(new File("/dev/null"));
    builder.environment().clear();
    builder.environment().putAll(environment);
    try {
      return new RankProcess(rank, builder.start(), log, streams);
    } catch (IOException e) {
      log.close();
      throw e;
    }
  }

  int rank() {
    return rank;
  }

  long pid() {
    return process.pid();
  }

  /** 128 + the signal for one that was killed; once it has ended. */
  int code() {
    return process.exitValue();
  }

  String lastLines() {
    return log.lastLines();
  }

  /** Waits for the end on a thread of its own. */
  void whenEnded(Consumer<RankProcess> told) {
    Thread.ofPlatform()
        .daemon()
        .name("end of rank " + rank)
        .start(
            () -> {
              try {
                process.waitFor();
                out.join(LAST_WORDS);
                err.join(LAST_WORDS);
                log.close();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              } catch (IOException e) {
                // its file ends where the disk did
              }
              told.accept(this);
            });
  }

  /** SIGTERM to it and what it started. */
  synchronized void terminate() {
    process.descendants().forEach(asked::add);
    asked.add(process.toHandle());
    asked.forEach(ProcessHandle::destroy);
  }

  /** SIGKILL to the same. */
  synchronized void kill() {
    process.descendants().forEach(asked::add);
    asked.add(process.toHandle());
    asked.forEach(ProcessHandle::destroyForcibly);
  }
}
