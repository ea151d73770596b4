package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.launch.Launched;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** {@code moextend train} on several ranks: the launcher and the ranks as processes. */
final class RanksRun implements AutoCloseable {
  /** What is awaited takes seconds; more than so many are a fault. */
  private static final long PATIENCE_SECONDS = 90;

  private final Path folder;
  private final Path output;
  private final Launched launcher;
  private final Set<Path> memory = new ConcurrentSkipListSet<>();

  private RanksRun(Path folder, Path output, Launched launcher) {
    this.folder = folder;
    this.output = output;
    this.launcher = launcher;
  }

  /**
   * @param output the run's folder
   * @param options of the launcher, as {@code "--nproc-per-node", "2"}
   * @param settings as typed after --set
   */
  static RanksRun start(Workspace work, Path output, List<String> options, List<String> settings)
      throws IOException {
    return new RanksRun(
        work.folder(),
        output,
        Launched.start(work.folder(), command(work, output, options, settings), Map.of()));
  }

  private static List<String> command(
      Workspace work, Path output, List<String> options, List<String> settings) {
    var command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + Golden.root().resolveSibling("scripts").resolve("jvm.flags"),
                "-XX:+UseSerialGC",
                "-Xmx512m",
                "-cp",
                System.getProperty("java.class.path"),
                "io.moextend.cli.MoExtend",
                "train",
                "--quiet",
                "--stage",
                "finetune",
                "--config",
                work.config().toString()));
    command.addAll(options);
    for (String setting : settings) {
      command.addAll(List.of("--set", setting));
    }
    command.addAll(List.of("--set", "checkpoints.output_dir=" + output));
    return command;
  }

  Path output() {
    return output;
  }

  Launched launcher() {
    return launcher;
  }

  String said() {
    return launcher.said();
  }

  /** The launcher's exit code, at its end. */
  int code() throws InterruptedException {
    return launcher.code();
  }

  /** The process of a rank, once it is there. */
  ProcessHandle rank(int rank, int generation) throws InterruptedException {
    var found = new ArrayList<ProcessHandle>();
    await(
        "rank %d of generation %d".formatted(rank, generation),
        () -> {
          find(rank, generation).ifPresent(found::add);
          return !found.isEmpty();
        });
    return found.getFirst();
  }

  private Optional<ProcessHandle> find(int rank, int generation) {
    return ProcessHandle.of(launcher.pid()).stream()
        .flatMap(ProcessHandle::children)
        .filter(child -> has(child, "RANK=" + rank, "TORCHELASTIC_RESTART_COUNT=" + generation))
        .findFirst();
  }

  private static boolean has(ProcessHandle process, String... words) {
    try {
      byte[] bytes = Files.readAllBytes(Path.of("/proc/" + process.pid() + "/environ"));
      return List.of(new String(bytes, StandardCharsets.UTF_8).split("\0"))
          .containsAll(List.of(words));
    } catch (IOException e) {
      return false; // it has just ended
    }
  }

  /** Waits until rank 0 has reported that many steps, those before a restart counted. */
  void awaitSteps(int steps) throws InterruptedException {
    await(steps + " steps", () -> steps(output) >= steps);
    remember();
  }

  private static int steps(Path output) {
    try (Stream<String> lines = Files.lines(output.resolve("metrics.jsonl"))) {
      return (int) lines.count();
    } catch (IOException | java.io.UncheckedIOException e) {
      return 0; // not yet
    }
  }

  void await(String what, BooleanSupplier claim) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!claim.getAsBoolean()) {
      boolean alive = ProcessHandle.of(launcher.pid()).map(ProcessHandle::isAlive).orElse(false);
      assertThat(alive).as("run while waiting for %s; said%n%s", what, said()).isTrue();
      assertThat(System.nanoTime()).as("%s; said%n%s", what, said()).isLessThan(deadline);
      Thread.sleep(1);
    }
  }

  static void signal(ProcessHandle process, String name) throws Exception {
    Launched.signal(process.pid(), name);
  }

  /** Notes the folders in memory that the ranks use now. */
  void remember() {
    ProcessHandle.of(launcher.pid()).stream()
        .flatMap(ProcessHandle::children)
        .flatMap(RanksRun::foldersInMemory)
        .forEach(memory::add);
  }

  private static Stream<Path> foldersInMemory(ProcessHandle rank) {
    Path open = Path.of("/proc/" + rank.pid() + "/fd");
    var found = new ArrayList<Path>();
    try (Stream<Path> links = Files.list(open)) {
      for (Path link : links.toList()) {
        Path file = target(link);
        if (file.startsWith("/dev/shm") && file.getNameCount() > 3) {
          found.add(Path.of("/dev/shm").resolve(file.getName(2)));
        }
      }
    } catch (IOException | java.io.UncheckedIOException e) {
      // it has just ended
    }
    return found.stream();
  }

  private static Path target(Path link) throws IOException {
    try {
      return Files.readSymbolicLink(link);
    } catch (NoSuchFileException e) {
      return Path.of("/closed");
    }
  }

  /** No process of this run is left, and nothing of it in memory. */
  void requireNothingLeft() throws InterruptedException {
    assertThat(memory).as("folders in memory that the ranks had").isNotEmpty();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (System.nanoTime() < deadline && !(processes().isEmpty() && remembered().isEmpty())) {
      Thread.sleep(20);
    }
    assertThat(processes()).as("processes left").isEmpty();
    assertThat(remembered()).as("left in memory").isEmpty();
  }

  private List<Path> remembered() {
    return memory.stream().filter(Files::exists).toList();
  }

  private List<String> processes() {
    return ProcessHandle.allProcesses().map(this::ours).flatMap(Optional::stream).toList();
  }

  private Optional<String> ours(ProcessHandle process) {
    try {
      String line = Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"));
      return line.contains(output.toString())
          ? Optional.of(process.pid() + " " + line)
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  @Override
  public void close() {
    ProcessHandle.allProcesses()
        .filter(p -> ours(p).isPresent())
        .forEach(ProcessHandle::destroyForcibly);
    launcher.close();
  }

  /** The model and the last checkpoint are, byte for byte, those of another run. */
  static void requireSame(Path wanted, Path got, int steps) throws IOException {
    requireSame(wanted.resolve("model"), got.resolve("model"));
    requireSame(wanted.resolve("checkpoint-" + steps), got.resolve("checkpoint-" + steps));
  }

  /** All files of a folder but what says when and where. */
  static void requireSame(Path wanted, Path got) throws IOException {
    for (Path file : files(wanted)) {
      assertThat(got.resolve(file)).hasSameBinaryContentAs(wanted.resolve(file));
    }
    assertThat(files(got)).isEqualTo(files(wanted));
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> names =
          files
              .map(Path::getFileName)
              .filter(f -> !f.toString().equals("config.yaml"))
              .sorted()
              .toList();
      assertThat(names).as("files of %s", folder).isNotEmpty();
      return names;
    }
  }

  /** Of every step the run has reported. */
  static List<Double> losses(Path output) throws IOException {
    var losses = new ArrayList<Double>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      losses.add(new JsonMapper().readTree(line).get("loss").asDouble());
    }
    return losses;
  }
}
