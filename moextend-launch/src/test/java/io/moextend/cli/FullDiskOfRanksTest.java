package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.SmallDisk;
import io.moextend.train.CheckpointStore;
import io.moextend.train.Peers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A disk that runs full in the middle of a run of two ranks. */
@Timeout(200)
class FullDiskOfRanksTest {
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

  private static List<String> settings(String... more) {
    var settings =
        new ArrayList<>(
            List.of(
                "training.per_device_train_batch_size=1",
                "training.max_steps=40",
                "checkpoints.save_steps=1"));
    settings.addAll(List.of(more));
    return settings;
  }

  @Test
  void allRanksEndNamingTheFileAndTheLastCheckpointStaysWhole() throws Exception {
    Workspace work = new Workspace(folder).startFrom("moextend_ft_rand").configured();
    Path full = disk.resolve("out");
    List<String> options = List.of("--nproc-per-node", "2", "--max-restarts", "2");
    try (RanksRun run = RanksRun.start(work, full, options, settings())) {
      assertThat(run.code()).as(run::said).isEqualTo(2);
      assertThat(run.said())
          .containsPattern("\\[rank 0] moextend: rank [01]: " + full)
          .containsPattern("\\[rank 1] moextend: rank [01]: " + full)
          .contains("cannot be written", "Make room")
          .doesNotContain("\tat ", "start again", "fault of ours");
    }
    Path newest = new CheckpointStore(full, null, List.of(), Peers.NONE).find("auto").orElseThrow();
    assertThat(full.resolve("LATEST")).hasContent(newest.getFileName().toString());
    Path roomy = folder.resolve("roomy");
    int done = Integer.parseInt(newest.getFileName().toString().substring("checkpoint-".length()));
    try (RanksRun again =
        RanksRun.start(
            work,
            roomy,
            List.of("--nproc-per-node", "2"),
            settings(
                "checkpoints.resume_from_checkpoint=" + newest,
                "training.max_steps=" + (done + 2)))) {
      assertThat(again.code()).as(again::said).isZero();
    }
    assertThat(Files.readAllLines(roomy.resolve("metrics.jsonl"))).hasSize(2);
  }
}
