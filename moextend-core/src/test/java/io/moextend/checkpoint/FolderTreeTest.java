package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FolderTreeTest {
  @TempDir Path folder;

  @Test
  void whatALinkPointsToOutlivesTheTree() throws IOException {
    Path kept = Files.createDirectory(folder.resolve("kept"));
    Files.writeString(kept.resolve("weights"), "w");
    Path gone = Files.createDirectories(folder.resolve("gone/deep/deeper"));
    Files.writeString(gone.resolve("file"), "f");
    Path link = Files.createSymbolicLink(folder.resolve("gone/link"), kept);
    var tree = new FolderTree(folder.resolve("gone"));
    assertThat(tree.paths())
        .containsExactly(tree.root(), gone.getParent(), gone, gone.resolve("file"), link);
    tree.delete();
    assertThat(tree.root()).doesNotExist();
    assertThat(kept.resolve("weights")).hasContent("w");
  }

  @Test
  void whatIsNotThereNeedsNoRemoving() throws IOException {
    new FolderTree(folder.resolve("nothing")).delete();
    assertThat(folder).isEmptyDirectory();
  }
}
