package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.SmallDisk;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What concerns files, beside the contract of all collectives. */
class SharedMemoryCollectiveTest {
  @TempDir Path folder;

  private static SharedMemoryCollective alone(Path folder) {
    return new SharedMemoryCollective(folder, 0, 1, new Patience(0, Duration.ofSeconds(5)));
  }

  @Test
  void nothingHasANameWhileBuffersAreOpen() {
    try (var ranks = alone(folder);
        Buffer buffer = ranks.buffer("a", 1000)) {
      buffer.segment().fill((byte) 1);
      assertThat(folder).isEmptyDirectory();
    }
  }

  @Test
  void aFolderThatLetsOthersInIsRefused() throws IOException {
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-x---"));
    assertThatThrownBy(() -> alone(folder).close())
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining(folder + " lets others in")
        .hasMessageContaining("make it with mode 700");
    assertThatThrownBy(() -> alone(folder.resolve("none")).close())
        .hasMessageContaining("make it before the ranks start");
  }

  @Test
  void whatAnEarlierRunLeftIsNotTakenForOurs() throws IOException {
    Files.writeString(folder.resolve("control"), "old");
    assertThatThrownBy(() -> alone(folder).close())
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining("is left from another run; give every start a new folder");
    var second = new Patience(1, Duration.ofSeconds(5));
    assertThatThrownBy(() -> new SharedMemoryCollective(folder, 1, 2, second).close())
        .hasMessageContaining("has 3 bytes instead of 12288");
  }

  @Test
  void aBufferThatHasNoRoomIsRefusedBeforeAnythingIsWritten() {
    try (var ranks = alone(folder)) {
      assertThatThrownBy(() -> ranks.buffer("huge", 1L << 50).close())
          .isInstanceOf(UncheckedIOException.class)
          .hasMessageContaining("no room for the 1125899906842624 bytes")
          .hasMessageContaining("--shm-size");
      assertThat(folder).isEmptyDirectory();
      ranks.barrier("it goes on");
    }
  }

  @Test
  void memoryThatRunsFullIsAnErrorAndNoSignal() throws Exception {
    try (var disk = SmallDisk.mountedAt(folder.resolve("small"))) {
      Path small = disk.folder();
      var wiring = new Wiring("small memory", 1, 3, SharedMemoryCollectiveTest::joined);
      List<Throwable> failures =
          RankThreads.failures(
              wiring,
              small,
              Duration.ofSeconds(1),
              ranks -> {
                try (Buffer buffer = ranks.buffer("gradients", 600_000)) {
                  buffer.segment().fill((byte) 1);
                }
              });
      assertThat(failures)
          .noneMatch(Objects::isNull)
          .anySatisfy(e -> assertThat(e).hasMessageContaining("no room for the 600000 bytes"));
      assertThat(small).isEmptyDirectory();
    }
  }

  private static Wiring.World joined(Path folder, Wiring wiring) {
    return (rank, vigil) -> new SharedMemoryCollective(folder, rank, wiring.world(), vigil);
  }
}
