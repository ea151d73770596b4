package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompanionFilesTest {
  @TempDir Path root;

  @Test
  void theLastFolderCountsAndNothingElseIsTaken() throws IOException {
    Path base = folder("base", "tokenizer.json", "model.safetensors");
    Path tokenizer = folder("tokenizer", "tokenizer.json", "tokenizer.model");
    Path model = Files.createDirectory(root.resolve("model"));
    CompanionFiles.copy(base, model);
    CompanionFiles.copy(tokenizer, model);
    assertThat(model.resolve("tokenizer.json")).hasContent("tokenizer");
    assertThat(model.resolve("tokenizer.model")).exists();
    assertThat(model.resolve("model.safetensors")).doesNotExist();
  }

  private Path folder(String name, String... files) throws IOException {
    Path folder = Files.createDirectory(root.resolve(name));
    for (String file : files) {
      Files.writeString(folder.resolve(file), name);
    }
    return folder;
  }
}
