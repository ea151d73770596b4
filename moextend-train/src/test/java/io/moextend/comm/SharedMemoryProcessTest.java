package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ranks that are processes, as in a run. */
class SharedMemoryProcessTest {
  @TempDir Path folder;

  private final List<Process> processes = new ArrayList<>();

  @AfterEach
  void endAll() {
    processes.forEach(Process::destroyForcibly);
  }

  @Test
  void processesSumExactly() throws Exception {
    Path memory = start(3, "sum");
    for (int r = 0; r < 3; r++) {
      assertThat(processes.get(r).waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(log(r)).contains("done").doesNotContain("Exception", "Error");
      assertThat(processes.get(r).exitValue()).isZero();
    }
    assertThat(memory).isEmptyDirectory();
  }

  @Test
  void aKilledProcessIsNamedByTheOthersAndLeavesNothing() throws Exception {
    Path memory = start(3, "forever");
    for (int r = 0; r < 3; r++) {
      waitUntilTurning(r);
    }
    processes.get(1).destroyForcibly();
    assertThat(processes.get(1).waitFor(10, TimeUnit.SECONDS)).isTrue();
    assertThat(processes.get(1).exitValue()).as("killed by signal 9").isEqualTo(128 + 9);
    for (int r : new int[] {0, 2}) {
      assertThat(processes.get(r).waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(log(r)).contains("lost 1: rank " + r + " has waited", "in all-reduce (turn ");
      assertThat(processes.get(r).exitValue()).isEqualTo(5);
    }
    assertThat(memory).isEmptyDirectory();
  }

  private Path start(int world, String what) throws IOException {
    Path memory = Files.createDirectory(folder.resolve("memory"));
    Files.setPosixFilePermissions(memory, PosixFilePermissions.fromString("rwx------"));
    for (int r = 0; r < world; r++) {
      processes.add(
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "@" + Golden.root().resolveSibling("scripts").resolve("jvm.flags"),
                  "-Xmx128m",
                  "-cp",
                  System.getProperty("java.class.path"),
                  RankProcess.class.getName(),
                  memory.toString(),
                  String.valueOf(r),
                  String.valueOf(world),
                  what)
              .redirectErrorStream(true)
              .redirectOutput(folder.resolve("rank-" + r).toFile())
              .start());
    }
    return memory;
  }

  private void waitUntilTurning(int rank) throws Exception {
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!log(rank).contains("turning")) {
      assertThat(processes.get(rank).isAlive()).as(log(rank)).isTrue();
      assertThat(System.nanoTime()).as("time for rank " + rank).isLessThan(until);
      Thread.sleep(5);
    }
  }

  private String log(int rank) throws IOException {
    return Files.readString(folder.resolve("rank-" + rank));
  }
}
