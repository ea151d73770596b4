package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A process of its own that shares with others, and how tests start one and talk to it. */
final class SharingProcess implements AutoCloseable {
  static final int ROWS = 2048;
  static final int COLUMNS = 2048;

  private final Process process;
  private final BufferedReader lines;

  private SharingProcess(Process process) {
    this.process = process;
    this.lines = process.inputReader(StandardCharsets.UTF_8);
  }

  /** A JVM with this one's class path and flags that runs {@link #main}. */
  static SharingProcess start(Object... arguments) throws IOException {
    var command = new ArrayList<String>();
    command.add(ProcessHandle.current().info().command().orElseThrow());
    command.addAll(List.of("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.addAll(
        List.of("--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(SharingProcess.class.getName());
    Stream.of(arguments).map(Object::toString).forEach(command::add);
    return new SharingProcess(
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
  }

  String line() throws IOException {
    String line = lines.readLine();
    if (line == null) {
      throw new IOException("the process ended without a word; see its error output");
    }
    return line;
  }

  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  /** Lets it end by itself. */
  @Override
  public void close() throws IOException, InterruptedException {
    process.getOutputStream().close();
    if (!process.waitFor(30, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new IOException("the process did not end");
    }
  }

  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "stall" -> stall(Path.of(arguments[1]), Long.parseLong(arguments[2]));
      case "block" -> block(Path.of(arguments[1]), Long.parseLong(arguments[2]));
      case "weights" ->
          weights(Path.of(arguments[1]), arguments[2].equals("-") ? null : Path.of(arguments[2]));
      default -> throw new IllegalArgumentException(Arrays.toString(arguments));
    }
  }

  /** Makes half of a block and stays there. */
  private static void stall(Path folder, long bytes) throws Exception {
    try (HostShare share = HostShare.open(folder, HostShare.PATIENCE)) {
      share
          .block(
              "a block",
              bytes,
              to -> {
                to.accept(MemorySegment.ofArray(new byte[(int) bytes / 2]));
                say("half");
                waitForEnd();
                throw new IllegalStateException("was to be killed before");
              })
          .close();
    }
  }

  private static void block(Path folder, long bytes) throws Exception {
    try (HostShare share = HostShare.open(folder, HostShare.PATIENCE)) {
      say("joined");
      boolean[] made = new boolean[1];
      try (HostShare.Block block =
          share.block(
              "a block",
              bytes,
              to -> {
                made[0] = true;
                byte[] all = new byte[(int) bytes];
                Arrays.fill(all, (byte) 7);
                to.accept(MemorySegment.ofArray(all));
              })) {
        long sum = 0;
        for (long i = 0; i < bytes; i++) {
          sum += block.memory().get(java.lang.foreign.ValueLayout.JAVA_BYTE, i);
        }
        say("made=" + made[0] + " sum=" + sum + " inodes=" + inodes(folder));
        waitForEnd();
      }
    }
  }

  /** Multiplies with some frozen weights of a mapped file, rounded, both ways. */
  private static void weights(Path file, @org.jspecify.annotations.Nullable Path folder)
      throws Exception {
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0, folder));
        Arena arena = backend.arena("products");
        FileChannel channel = FileChannel.open(file);
        var mapping = java.lang.foreign.Arena.ofShared()) {
      MemorySegment all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), mapping);
      long each = 4L * ROWS * COLUMNS;
      var matrices = new ArrayList<Matrix>();
      int digest = 1;
      for (int i = 0; i < all.byteSize() / each; i++) {
        Array mapped = backend.wrap(arena, DType.F32, all.asSlice(i * each, each), ROWS, COLUMNS);
        Array w = backend.frozenCast(arena, mapped, DType.BF16, file + ": " + i);
        Matrix matrix = backend.matrix(List.of(w), true);
        matrices.add(matrix);
        Array x = backend.floats(arena, DType.BF16, ramp(3 * COLUMNS), 3, COLUMNS);
        Array y = backend.product(arena, x, matrix, null, DType.F32);
        Array back = backend.productTransposed(arena, y, matrix);
        digest = 31 * digest + Arrays.hashCode(backend.toFloats(arena, y));
        digest = 31 * digest + Arrays.hashCode(backend.toFloats(arena, back));
        List.of(x, y, back).forEach(arena::free);
      }
      say(
          "digest=%d live=%d shared=%d private=%d inodes=%s"
              .formatted(
                  digest,
                  backend.memory().liveBytes(),
                  backend.memory().sharedBytes(),
                  privateBytes(),
                  folder == null ? "-" : inodes(folder)));
      waitForEnd();
      matrices.forEach(Matrix::close);
    }
  }

  private static float[] ramp(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (i % 37 - 18) / 18f;
    }
    return values;
  }

  private static long privateBytes() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/smaps_rollup")).stream()
        .filter(l -> l.startsWith("Private_"))
        .mapToLong(l -> 1024 * Long.parseLong(l.replaceAll("\\D", "")))
        .sum();
  }

  /** Of the folder's files that are mapped here. */
  private static String inodes(Path folder) throws IOException {
    var found = new TreeSet<String>();
    for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
      if (line.contains(folder.toString())) {
        found.add(line.split(" +")[4]);
      }
    }
    return String.join(",", found);
  }

  private static void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  private static void waitForEnd() {
    try {
      while (new InputStreamReader(System.in, StandardCharsets.UTF_8).read() >= 0) {
        // Whoever started this closes the stream.
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
