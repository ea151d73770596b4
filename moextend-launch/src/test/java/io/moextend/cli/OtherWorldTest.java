package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A checkpoint of two ranks goes on with another number of them, sharded in another way. */
@Timeout(200)
class OtherWorldTest {
  private static final int STEPS = 8;
  private static final int SAVED = 4;
  private static final int GLOBAL_BATCH = 6;
  private static final double TOLERANCE_PERCENT = 1e-3;

  @TempDir static Path shared;

  private static Workspace work;
  private static Path undisturbed;

  @TempDir Path folder;

  private static List<String> settings(int accumulation, int zero, String... more) {
    var settings =
        new ArrayList<>(
            List.of(
                "training.per_device_train_batch_size=1",
                "training.gradient_accumulation_steps=" + accumulation,
                "training.max_steps=" + STEPS,
                "optimizer.learning_rate=1.0e-3",
                "checkpoints.save_steps=" + SAVED,
                "distributed.zero_stage=" + zero));
    settings.addAll(List.of(more));
    return settings;
  }

  @BeforeAll
  static void runUndisturbed() throws Exception {
    work = new Workspace(shared).startFrom("moextend_ft_rand").configured();
    undisturbed = work.output();
    try (RanksRun run =
        RanksRun.start(
            work, undisturbed, List.of("--nproc-per-node", "2"), settings(GLOBAL_BATCH / 2, 1))) {
      assertThat(run.code()).as(run::said).isZero();
    }
  }

  /** Goes on from the checkpoint in the middle, in a folder of its own. */
  private RanksRun resume(int world, int accumulation, int zero) throws IOException {
    Path from = undisturbed.resolve("checkpoint-" + SAVED);
    return RanksRun.start(
        work,
        folder.resolve("out"),
        List.of("--nproc-per-node", String.valueOf(world), "--max-restarts", "2"),
        settings(accumulation, zero, "checkpoints.resume_from_checkpoint=" + from));
  }

  @ParameterizedTest
  @CsvSource({"3, 2", "1, 0", "2, 0"})
  void theSameGlobalBatchGivesTheSameLosses(int world, int zero) throws Exception {
    try (RanksRun run = resume(world, GLOBAL_BATCH / world, zero)) {
      assertThat(run.code()).as(run::said).isZero();
    }
    List<Double> wanted = RanksRun.losses(undisturbed).subList(SAVED, STEPS);
    List<Double> got = RanksRun.losses(folder.resolve("out"));
    assertThat(got).hasSameSizeAs(wanted);
    for (int i = 0; i < got.size(); i++) {
      assertThat(got.get(i))
          .as("loss of step %d", SAVED + i + 1)
          .isCloseTo(wanted.get(i), withinPercentage(TOLERANCE_PERCENT));
    }
    assertThat(folder.resolve("out/model/model.safetensors")).exists();
  }

  @Test
  void anotherGlobalBatchIsRefusedWithWhatWouldMakeItFit() throws Exception {
    try (RanksRun run = resume(3, 1, 1)) {
      assertThat(run.code()).as(run::said).isEqualTo(2);
      assertThat(run.said())
          .contains(
              "training.global_batch=3: was 6",
              "training.gradient_accumulation_steps: 2 makes it so with 3 ranks of 1 samples")
          .doesNotContain("start again");
    }
  }
}
