package io.moextend.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The launch command as a process of its own, and what it said. */
public final class Launched implements AutoCloseable {
  private static final Pattern PID = Pattern.compile("pid (\\d+)");

  private final Process process;
  private final ConcurrentLinkedQueue<String> lines = new ConcurrentLinkedQueue<>();
  private final Thread reader;

  private Launched(Process process) {
    this.process = process;
    this.reader = Thread.ofPlatform().daemon().start(this::read);
  }

  /** {@code moextend launch} with these words. */
  static Launched launch(Path folder, List<String> words, Map<String, String> environment)
      throws IOException {
    var command = new ArrayList<>(java("io.moextend.cli.MoExtend"));
    command.addAll(List.of("launch", "--log-dir", folder.resolve("logs").toString()));
    command.addAll(words);
    return start(folder, command, environment);
  }

  /** Any command; variables of ours that this process has are not passed on. */
  public static Launched start(Path folder, List<String> command, Map<String, String> environment)
      throws IOException {
    var builder = new ProcessBuilder(command).redirectErrorStream(true).directory(folder.toFile());
    builder.environment().keySet().removeIf(name -> name.startsWith("MOEXTEND_"));
    builder.environment().putAll(environment);
    return new Launched(builder.start());
  }

  /** A small JVM that runs a class of this class path. */
  static List<String> java(String main) {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Xmx64m",
        "-cp",
        System.getProperty("java.class.path"),
        main);
  }

  /** The words after -- for a rank that joins its group. */
  static List<String> rank(String... arguments) {
    var command = new ArrayList<>(java(RankMain.class.getName()));
    command.addAll(List.of(arguments));
    return command;
  }

  static List<String> words(List<String> command, String... options) {
    var words = new ArrayList<>(List.of(options));
    words.add("--");
    words.addAll(command);
    return words;
  }

  private void read() {
    try (var in =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      in.lines().forEach(lines::add);
    } catch (IOException | java.io.UncheckedIOException e) {
      lines.add("(cut off: " + e.getMessage() + ")");
    }
  }

  public long pid() {
    return process.pid();
  }

  /** Of the rank that has said "[rank R] joined as ..., pid P" in that generation. */
  long pidOf(int rank, int generation) throws InterruptedException {
    String line = await("[rank %d] joined as ".formatted(rank), "generation " + generation);
    Matcher pid = PID.matcher(line);
    assertThat(pid.find()).isTrue();
    return Long.parseLong(pid.group(1));
  }

  /** Waits for a line with these parts and returns it. */
  public String await(String... parts) throws InterruptedException {
    var found = new ArrayList<String>();
    await(
        String.join(" ... ", parts),
        () -> {
          lines.stream()
              .filter(line -> List.of(parts).stream().allMatch(line::contains))
              .findFirst()
              .ifPresent(found::add);
          return !found.isEmpty();
        });
    return found.getFirst();
  }

  private void await(String what, BooleanSupplier claim) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
    while (!claim.getAsBoolean()) {
      if (System.nanoTime() > deadline || !process.isAlive() && !reader.isAlive()) {
        if (!claim.getAsBoolean()) {
          throw new AssertionError("never said: " + what + "\n" + said());
        }
      }
      Thread.sleep(10);
    }
  }

  public int code() throws InterruptedException {
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).as(this::said).isTrue();
    reader.join(2000);
    return process.exitValue();
  }

  public String said() {
    return String.join("\n", lines);
  }

  public void signal(String name) throws IOException, InterruptedException {
    signal(process.pid(), name);
  }

  public static void signal(long pid, String name) throws IOException, InterruptedException {
    Process kill = new ProcessBuilder("sh", "-c", "kill -" + name + " " + pid).start();
    assertThat(kill.waitFor()).as("kill -%s %d", name, pid).isZero();
  }

  /** Waits for the end of a process that is no child of this one. */
  public static void awaitEnd(long pid) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false)) {
      assertThat(System.nanoTime()).as("process %d still runs", pid).isLessThan(deadline);
      Thread.sleep(10);
    }
  }

  @Override
  public void close() {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }
}
