package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two ranks do not go on from a checkpoint that is not as it was written. */
@Timeout(200)
class RefusedResumeTest {
  private static final String SECOND = "optimizer-00002-of-00002.safetensors";

  @TempDir static Path shared;

  private static Workspace work;

  @TempDir Path folder;

  private Path checkpoint() {
    return folder.resolve("out/checkpoint-1");
  }

  /** A run of one step, as it is before the damage. */
  private void copyOf(Path written) {
    Workspace.copy(written.resolve("checkpoint-1"), checkpoint());
    Workspace.copy(written, folder.resolve("out"));
  }

  private static List<String> settings(int steps, String... more) {
    var settings =
        new ArrayList<>(
            List.of(
                "training.per_device_train_batch_size=1",
                "training.max_steps=" + steps,
                "checkpoints.save_steps=1"));
    settings.addAll(List.of(more));
    return settings;
  }

  private static Path written(String name, String... more) throws Exception {
    Path output = shared.resolve(name);
    try (RanksRun run =
        RanksRun.start(work, output, List.of("--nproc-per-node", "2"), settings(1, more))) {
      assertThat(run.code()).as(run::said).isZero();
    }
    return output;
  }

  @BeforeAll
  static void writeACheckpoint() throws Exception {
    work = new Workspace(shared).startFrom("moextend_ft_rand").configured();
    written("whole");
  }

  /** Both ranks end with 2 and these words, at the first try, and leave the checkpoint alone. */
  private void refused(String... words) throws Exception {
    List<String> options = List.of("--nproc-per-node", "2", "--max-restarts", "3");
    try (RanksRun run =
        RanksRun.start(
            work,
            folder.resolve("out"),
            options,
            settings(2, "checkpoints.resume_from_checkpoint=auto"))) {
      assertThat(run.code()).as(run::said).isEqualTo(2);
      assertThat(run.said())
          .contains(words)
          .contains("[rank 0] moextend: ", "[rank 1] moextend: ")
          .doesNotContain("start again", "broken off", "\tat ");
    }
    assertThat(checkpoint()).exists();
    assertThat(folder.resolve("out/checkpoint-2")).doesNotExist();
  }

  @Test
  void aFlippedByteOfOneShardIsNamedWithFileAndTensor() throws Exception {
    copyOf(shared.resolve("whole"));
    Path shard = checkpoint().resolve(SECOND);
    byte[] bytes = Files.readAllBytes(shard);
    bytes[bytes.length - 7] ^= 4;
    Files.write(shard, bytes);
    refused(shard.toString(), "tensor ", "CRC-32C");
  }

  @Test
  void aMissingShardIsNamed() throws Exception {
    copyOf(shared.resolve("whole"));
    Files.delete(checkpoint().resolve(SECOND));
    refused(checkpoint().resolve(SECOND).toString(), "is missing");
  }

  @Test
  void aShardOfAnotherRunIsNamed() throws Exception {
    Path other = written("other", "training.seed=7");
    copyOf(shared.resolve("whole"));
    replace(other, SECOND);
    refused(checkpoint().resolve(SECOND).toString());
    replace(other, SECOND.replace(".safetensors", ".json"));
    refused(
        checkpoint().resolve(SECOND.replace(".safetensors", ".json")).toString(),
        "of another checkpoint");
  }

  private void replace(Path other, String file) throws IOException {
    Files.copy(
        other.resolve("checkpoint-1").resolve(file),
        checkpoint().resolve(file),
        StandardCopyOption.REPLACE_EXISTING);
  }
}
