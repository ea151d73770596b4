package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostShareTest {
  private static final long BYTES = 3 << 20;

  @TempDir Path parent;

  @Test
  void aBlockIsMadeOnceByManyProcessesThatStartTogether() throws Exception {
    Path folder = parent.resolve("moextend-run-1");
    var others = new ArrayList<SharingProcess>();
    for (int i = 0; i < 4; i++) {
      others.add(SharingProcess.start("block", folder, BYTES));
    }
    var said = new ArrayList<String>();
    for (SharingProcess other : others) {
      other.line();
      said.add(other.line());
    }
    assertThat(said.stream().filter(s -> s.contains("made=true"))).hasSize(1);
    assertThat(said.stream().map(s -> s.replaceAll("made=\\w+ ", "")).distinct()).hasSize(1);
    assertThat(said.getFirst()).contains("sum=" + 7 * BYTES);
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)))
        .isEqualTo("rwx------");
    for (SharingProcess other : others) {
      assertThat(folder).exists();
      other.close();
    }
    assertThat(folder).as("removed by the last one out").doesNotExist();
  }

  @Test
  void anotherTakesOverWhenTheMakerIsKilled() throws Exception {
    Path folder = parent.resolve("moextend-run-1");
    var maker = SharingProcess.start("stall", folder, BYTES);
    assertThat(maker.line()).isEqualTo("half");
    try (var other = SharingProcess.start("block", folder, BYTES)) {
      assertThat(other.line()).isEqualTo("joined");
      Thread.sleep(200);
      assertThat(names(folder)).noneMatch(n -> n.endsWith(".block"));
      maker.kill();
      assertThat(other.line()).contains("made=true sum=" + 7 * BYTES);
      assertThat(names(folder)).noneMatch(n -> n.contains("incomplete"));
    }
    assertThat(folder).doesNotExist();
  }

  @Test
  void whoWaitsTooLongForAnotherIsToldWhatFor() throws Exception {
    Path folder = parent.resolve("moextend-run-1");
    var maker = SharingProcess.start("stall", folder, BYTES);
    assertThat(maker.line()).isEqualTo("half");
    try (var share = HostShare.open(folder, Duration.ofMillis(100))) {
      assertThatThrownBy(() -> share.block("a block", BYTES, to -> {}).close())
          .isInstanceOf(BackendException.class)
          .hasMessageContaining(folder.toString())
          .hasMessageContaining("did not finish block 'a block' within PT0.1S");
    }
    maker.kill();
  }

  @Test
  void secondRankHoldsNoFrozenWeightsOfItsOwnAndGetsTheSameBits() throws Exception {
    Path weights = parent.resolve("weights");
    int matrices = 4;
    write(weights, matrices);
    long rounded = 2L * SharingProcess.ROWS * SharingProcess.COLUMNS * matrices;
    Path folder = parent.resolve("moextend-run-1");
    try (var alone = SharingProcess.start("weights", weights, "-")) {
      String own = alone.line();
      assertThat(number(own, "live")).isBetween(rounded, rounded + (rounded >> 6));
      try (var first = SharingProcess.start("weights", weights, folder)) {
        String one = first.line();
        try (var second = SharingProcess.start("weights", weights, folder)) {
          String two = second.line();
          assertThat(number(one, "digest")).isEqualTo(number(own, "digest"));
          assertThat(number(two, "digest")).isEqualTo(number(own, "digest"));
          assertThat(two.replaceAll(".*inodes=", "")).isEqualTo(one.replaceAll(".*inodes=", ""));
          assertThat(two.replaceAll(".*inodes=", "").split(",")).hasSize(matrices);
          assertThat(number(two, "shared")).isBetween(rounded, rounded + (rounded >> 6));
          assertThat(number(two, "live")).isZero();
          assertThat(number(own, "private") - number(two, "private"))
              .as("private bytes of a rank that shares, less than of one that does not")
              .isGreaterThan(rounded * 3 / 4);
        }
      }
    }
  }

  @Test
  void aBlockOfAnotherSizeIsRefused() {
    try (var share = HostShare.open(parent.resolve("moextend-x"), HostShare.PATIENCE)) {
      share.block("b", 8, to -> to.accept(MemorySegment.ofArray(new byte[8]))).close();
      assertThatThrownBy(() -> share.block("b", 16, to -> {}).close())
          .isInstanceOf(BackendException.class)
          .hasMessageContaining("block 'b' has 8 bytes where 16 are wanted");
    }
  }

  @Test
  void aMakerThatFailsLeavesNothingAndTheNextTryWorks() throws IOException {
    Path folder = parent.resolve("moextend-x");
    try (var share = HostShare.open(folder, HostShare.PATIENCE)) {
      assertThatThrownBy(
              () ->
                  share
                      .block(
                          "b",
                          8,
                          to -> {
                            throw new IllegalArgumentException("no");
                          })
                      .close())
          .hasMessage("no");
      assertThat(names(folder)).containsExactly("locks");
      share.block("b", 8, to -> to.accept(MemorySegment.ofArray(new byte[8]))).close();
    }
  }

  @Test
  void aFolderThatOthersMayReadIsRefused() throws IOException {
    Path folder = parent.resolve("moextend-x");
    Files.createDirectory(folder);
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    assertThatThrownBy(() -> HostShare.open(folder, HostShare.PATIENCE).close())
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("is not a folder of this user with mode 700");
  }

  private static java.util.List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).toList();
    }
  }

  private static long number(String line, String name) {
    Matcher found = Pattern.compile(name + "=(-?\\d+)").matcher(line);
    assertThat(found.find()).as(line).isTrue();
    return Long.parseLong(found.group(1));
  }

  private static void write(Path file, int matrices) throws IOException {
    var random = new Random(11);
    ByteBuffer row = ByteBuffer.allocate(4 * SharingProcess.COLUMNS);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (int i = 0; i < matrices * SharingProcess.ROWS; i++) {
        row.clear().order(ByteOrder.LITTLE_ENDIAN);
        for (int j = 0; j < SharingProcess.COLUMNS; j++) {
          row.putFloat(random.nextFloat() - 0.5f);
        }
        channel.write(row.flip());
      }
    }
  }
}
