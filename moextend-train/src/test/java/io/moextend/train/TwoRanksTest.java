package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.train.TinyRun.Settings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class TwoRanksTest {
  @TempDir Path folder;

  private final List<StepReport> reports = new ArrayList<>();

  private float[] run(Settings settings) {
    try (var run = new TinyRun(settings)) {
      run.resumed().trainer.run();
      return run.task.weights();
    }
  }

  private Settings settings(Path output) {
    return Settings.of(output, 4, 1, 4, 2).evaluating(0, List.of(), reports::add);
  }

  private List<float[]> both(Settings first, Settings second)
      throws InterruptedException, ExecutionException {
    var ranks = new TwoRanks();
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      Future<float[]> one = threads.submit(() -> run(first.peers(ranks.rank(0))));
      Future<float[]> two = threads.submit(() -> run(second.peers(ranks.rank(1))));
      return List.of(one.get(), two.get());
    }
  }

  @Test
  void ranksShareOneCheckpointAndRankZeroReportsForAll() throws Exception {
    float[] alone = run(settings(folder.resolve("alone")));
    reports.clear();
    Path output = folder.resolve("two");
    assertThat(both(settings(output), settings(output))).containsExactly(alone, alone);
    assertThat(reports).extracting(StepReport::samplesSeen).containsExactly(8L, 16L, 24L, 32L);
    assertThat(output.resolve("checkpoint-4/optimizer.safetensors"))
        .hasSameBinaryContentAs(folder.resolve("alone/checkpoint-4/optimizer.safetensors"));
    assertThat(Files.exists(output.resolve("checkpoint-4.incomplete"))).isFalse();
  }

  @Test
  void aLossThatIsNoNumberOnOneRankStopsBoth() {
    var source = new TinyBatches(24, 4, 3);
    float[] x = source.rows(0).x();
    x[0] = Float.NaN;
    var bad = new TinyTask.Rows(x, new int[] {0}, false, List.of("bad-sample"));
    Settings good = settings(folder);
    assertThatThrownBy(() -> both(good, good.batches(new Repeated(bad))))
        .cause()
        .isInstanceOf(DivergedException.class)
        .hasMessageStartingWith("step 1: the loss is NaN");
    assertThat(folder.resolve("diverged-step-1-rank-1.json")).content().contains("bad-sample");
    assertThat(folder.resolve("diverged-step-1-rank-0.json")).exists();
  }
}
