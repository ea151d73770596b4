package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.train.TrainConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The same run with the same global batch on one to four ranks, which are threads here, and at
 * every ZeRO stage. One sample in two has no image, so ranks without any are among them.
 */
@Timeout(300)
class WorldsTest {
  private static final int STEPS = 20;
  private static final int GLOBAL_BATCH = 12;
  private static final double TOLERANCE = 1e-5;
  private static final int ZERO_STAGES = 3;

  @TempDir Path folder;

  private Workspace work;
  private int runs;

  /** The folder a run left. */
  private Path run(String stage, int world, int zero, String... more) throws Exception {
    Path output = folder.resolve("run-%d-world-%d-zero-%d".formatted(runs++, world, zero));
    var settings =
        new ArrayList<>(
            List.of(
                "training.per_device_train_batch_size=1",
                "training.gradient_accumulation_steps=" + GLOBAL_BATCH / world,
                "training.max_steps=" + STEPS,
                "optimizer.learning_rate=1.0e-3",
                "distributed.zero_stage=" + zero,
                "distributed.bucket_bytes=4096",
                "checkpoints.output_dir=" + output));
    settings.addAll(List.of(more));
    TrainConfig config = TrainConfig.read(work.config(), settings);
    ThreadedRuns.train(stage, config, world);
    return output;
  }

  private Workspace startFrom(String golden) {
    return new Workspace(folder).startFrom(golden).configured();
  }

  @ParameterizedTest
  @CsvSource({"alignment, vision_align", "extension, vision_gate", "finetune, moextend_ft_rand"})
  void anyNumberOfRanksTrainsTheSame(String stage, String golden) throws Exception {
    work = startFrom(golden);
    Path alone = run(stage, 1, 0);
    for (int world = 2; world <= 4; world++) {
      same(alone, run(stage, world, 1));
    }
  }

  @ParameterizedTest
  @CsvSource({"alignment, vision_align", "extension, vision_gate", "finetune, moextend_ft_rand"})
  void everyZeroStageTrainsTheSame(String stage, String golden) throws Exception {
    work = startFrom(golden);
    Path whole = run(stage, 2, 0);
    for (int zero = 1; zero <= ZERO_STAGES; zero++) {
      same(whole, run(stage, 2, zero));
    }
  }

  @ParameterizedTest
  @CsvSource({"2, 1", "3, 2"})
  void theSameRunGivesTheSameBytes(int world, int zero) throws Exception {
    work = startFrom("moextend_ft_rand");
    Path first = run("finetune", world, zero);
    Path second = run("finetune", world, zero);
    assertThat(second.resolve("model/model.safetensors"))
        .hasSameBinaryContentAs(first.resolve("model/model.safetensors"));
    assertThat(ThreadedRuns.losses(second)).isEqualTo(ThreadedRuns.losses(first));
  }

  private static void same(Path wanted, Path got) throws IOException {
    assertThat(ThreadedRuns.losses(got)).hasSize(STEPS);
    ThreadedRuns.requireSame(wanted, got, TOLERANCE, name -> true);
  }
}
