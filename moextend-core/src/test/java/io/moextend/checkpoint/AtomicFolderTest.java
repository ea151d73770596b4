package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFolderTest {
  @TempDir Path parent;
  private Path target;

  @BeforeEach
  void nameTheTarget() {
    target = parent.resolve("checkpoint-7");
  }

  @Test
  void nothingStandsUnderTheNameBeforeTheCommit() throws IOException {
    try (var folder = AtomicFolder.create(target)) {
      Files.writeString(folder.path().resolve("config.json"), "new");
      Files.createDirectories(folder.path().resolve("optimizer"));
      Files.writeString(folder.path().resolve("optimizer/rank-0"), "state");
      assertThat(target).doesNotExist();
      folder.commit();
    }
    assertThat(target.resolve("config.json")).hasContent("new");
    assertThat(target.resolve("optimizer/rank-0")).hasContent("state");
    assertThat(names()).containsExactly("checkpoint-7");
  }

  @Test
  void leavingWithoutACommitLeavesThePreviousOneAlone() throws IOException {
    save("old");
    try (var folder = AtomicFolder.create(target)) {
      Files.writeString(folder.path().resolve("config.json"), "new");
    }
    assertThat(target.resolve("config.json")).hasContent("old");
    assertThat(names()).containsExactly("checkpoint-7");
  }

  @Test
  void aCommitReplacesThePreviousOneWhole() throws IOException {
    AtomicFolder.write(
        target,
        folder -> {
          Files.writeString(folder.resolve("config.json"), "old");
          Files.writeString(folder.resolve("stale.bin"), "old");
        });
    save("new");
    assertThat(target.resolve("config.json")).hasContent("new");
    assertThat(target.resolve("stale.bin")).doesNotExist();
    assertThat(names()).containsExactly("checkpoint-7");
  }

  @Test
  void aFullDiskRemovesTheTryAndNamesPathAndRoom() throws IOException {
    save("old");
    assertThatThrownBy(
            () ->
                AtomicFolder.write(
                    target,
                    folder -> {
                      Files.writeString(folder.resolve("config.json"), "new");
                      // the one device that is always full
                      Files.write(Path.of("/dev/full"), new byte[1 << 16]);
                    }))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(target.toString())
        .hasMessageContaining("No space left on device")
        .hasMessageContaining("GB are free there");
    assertThat(target.resolve("config.json")).hasContent("old");
    assertThat(names()).containsExactly("checkpoint-7");
  }

  @Test
  void whatACrashLeftIsRemovedByTheNextTry() throws IOException {
    Path leftover = Files.createDirectories(parent.resolve("checkpoint-7.incomplete"));
    Files.writeString(leftover.resolve("half"), "of it");
    try (var folder = AtomicFolder.create(target)) {
      assertThat(folder.path().resolve("half")).doesNotExist();
    }
    assertThat(names()).isEmpty();
  }

  @Test
  void aCrashBetweenTheTwoRenamesLosesNothing() throws IOException {
    save("old");
    Files.move(target, parent.resolve("checkpoint-7.previous"));
    Files.createDirectories(parent.resolve("checkpoint-7.incomplete"));
    AtomicFolder.create(target).close();
    assertThat(target.resolve("config.json")).hasContent("old");
    assertThat(names()).containsExactly("checkpoint-7");
  }

  @Test
  void aFolderOfOtherThingsIsNotReplaced() throws IOException {
    Files.createDirectories(target);
    Files.writeString(target.resolve("thesis.tex"), "years of work");
    assertThatThrownBy(() -> save("new"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("holds other files and no checkpoint");
    assertThat(target.resolve("thesis.tex")).hasContent("years of work");
  }

  @Test
  void theWorkingDirectoryAndFilesAreNoTargets() throws IOException {
    assertThatThrownBy(() -> AtomicFolder.create(Path.of("")).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("working directory");
    assertThatThrownBy(() -> AtomicFolder.create(Path.of("/")).close())
        .isInstanceOf(CheckpointException.class);
    Files.writeString(target, "a file");
    assertThatThrownBy(() -> save("new"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("is no folder");
  }

  @Test
  void aLinkKeepsPointingAndWhatItPointsToIsReplaced() throws IOException {
    Path real = Files.createDirectories(parent.resolve("scratch"));
    Files.createSymbolicLink(target, real);
    save("new");
    assertThat(Files.isSymbolicLink(target)).isTrue();
    assertThat(real.resolve("config.json")).hasContent("new");
  }

  @Test
  void linksInsideAreRemovedAndNotFollowed() throws IOException {
    Path outside = Files.createDirectories(parent.resolve("outside"));
    Files.writeString(outside.resolve("kept"), "kept");
    try (var folder = AtomicFolder.create(target)) {
      Files.createSymbolicLink(folder.path().resolve("link"), outside);
    }
    assertThat(outside.resolve("kept")).hasContent("kept");
    assertThat(names()).containsExactly("outside");
  }

  private void save(String text) {
    AtomicFolder.write(target, folder -> Files.writeString(folder.resolve("config.json"), text));
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(parent)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
