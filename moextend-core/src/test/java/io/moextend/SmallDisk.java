package io.moextend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** A file system of one MiB, this user's alone, which is soon full. */
public record SmallDisk(Path folder) implements AutoCloseable {
  /** Skips the test, loudly, where this user may not mount one. */
  public static SmallDisk mountedAt(Path folder) throws IOException, InterruptedException {
    Files.createDirectories(folder);
    assumeTrue(
        run("mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", folder.toString()),
        "NOT TESTED: a disk that runs full; mounting a tmpfs is not allowed to this user");
    return new SmallDisk(folder);
  }

  @Override
  public void close() throws InterruptedException {
    assertThat(run("umount", "-l", folder.toString())).isTrue();
  }

  private static boolean run(String... command) throws InterruptedException {
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(20, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (IOException e) {
      return false; // there is no such command
    }
  }
}
