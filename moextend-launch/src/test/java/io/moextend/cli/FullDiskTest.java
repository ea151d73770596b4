package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.SmallDisk;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A disk that runs full in the middle of a run costs no more than the steps since the last save.
 */
class FullDiskTest {
  @TempDir Path folder;

  private @Nullable SmallDisk small;
  private Path disk;

  @BeforeEach
  void mountASmallDisk() throws Exception {
    disk = folder.resolve("disk");
    small = SmallDisk.mountedAt(disk);
  }

  @AfterEach
  void unmountIt() throws Exception {
    if (small != null) {
      small.close();
    }
  }

  @Test
  void theLastCheckpointStaysWholeAndTheRunGoesOnFromIt() throws IOException {
    Workspace work = new Workspace(folder).startFrom("vision_align").configured();
    String[] settings = {
      "training.max_steps=60",
      "checkpoints.save_steps=1",
      "checkpoints.output_dir=" + disk.resolve("out")
    };
    Workspace.Outcome outcome = work.train("alignment", settings);
    assertThat(outcome.code()).isEqualTo(2);
    assertThat(outcome.err())
        .startsWith("moextend: " + disk.resolve("out"))
        .contains("cannot be written", "space", "Make room")
        .doesNotContain("\tat ");
    assertThat(outcome.err().strip().lines()).hasSize(1);

    Path newest = newest();
    assertThat(newest.resolve("state.yaml")).exists();
    Workspace.copy(newest, folder.resolve("roomy/" + newest.getFileName()));
    int step = Integer.parseInt(newest.getFileName().toString().substring("checkpoint-".length()));
    Workspace.Outcome resumed =
        work.train(
            "alignment",
            "training.max_steps=" + 60,
            "checkpoints.output_dir=" + folder.resolve("roomy"),
            "checkpoints.resume_from_checkpoint=auto");
    assertThat(resumed.err()).isEmpty();
    assertThat(Files.readAllLines(folder.resolve("roomy/metrics.jsonl"))).hasSize(60 - step);
    assertThat(folder.resolve("roomy/model/model.safetensors")).exists();
  }

  private Path newest() throws IOException {
    String name = Files.readString(disk.resolve("out/LATEST")).strip();
    return disk.resolve("out").resolve(name);
  }
}
