package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.autograd.GradientSink;
import io.moextend.config.ConfigException;
import io.moextend.train.TinyRun.Settings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainerTest {
  @TempDir Path folder;

  /** Runs, and gives the weights after it. */
  private static float[] weightsAfter(Settings settings) {
    try (var run = new TinyRun(settings)) {
      run.resumed().trainer.run();
      return run.task.weights();
    }
  }

  private static List<String> values(Path output) throws IOException {
    return Files.readAllLines(output.resolve(MetricsLog.FILE)).stream()
        .map(line -> line.replaceAll("\"(tokens_per_s|step_s)\":[^,}]*", ""))
        .toList();
  }

  private static List<String> folders(Path output) throws IOException {
    try (Stream<Path> entries = Files.list(output)) {
      return entries
          .map(p -> p.getFileName().toString())
          .filter(n -> n.startsWith("checkpoint"))
          .sorted()
          .toList();
    }
  }

  /** Fails as a killed process stops: in the middle of a step. */
  private static final class Killed extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  private record Dying(Objective<TinyTask.Rows> inner, int[] callsLeft)
      implements Objective<TinyTask.Rows> {
    @Override
    public Losses backpropagate(GradientSink gradients, TinyTask.Rows batch, double scale) {
      Losses losses = inner.backpropagate(gradients, batch, scale);
      if (--callsLeft[0] == 0) {
        throw new Killed();
      }
      return losses;
    }

    @Override
    public Losses evaluate(TinyTask.Rows batch) {
      return inner.evaluate(batch);
    }
  }

  private record Altered(Objective<TinyTask.Rows> inner, Function<Losses, Losses> change)
      implements Objective<TinyTask.Rows> {
    @Override
    public Losses backpropagate(GradientSink gradients, TinyTask.Rows batch, double scale) {
      return change.apply(inner.backpropagate(gradients, batch, scale));
    }

    @Override
    public Losses evaluate(TinyTask.Rows batch) {
      return inner.evaluate(batch);
    }
  }

  @Test
  void tenStepsAreFiveAKillAndFiveToTheBit() throws IOException {
    Path whole = folder.resolve("whole");
    float[] want = weightsAfter(Settings.of(whole, 10, 2, 4, 5));

    Path broken = folder.resolve("broken");
    Settings dying =
        Settings.of(broken, 10, 2, 4, 5).around(inner -> new Dying(inner, new int[] {14}));
    assertThatThrownBy(() -> weightsAfter(dying)).isInstanceOf(Killed.class);
    assertThat(Files.readAllLines(broken.resolve(MetricsLog.FILE))).hasSize(6);
    assertThat(folders(broken)).containsExactly("checkpoint-5");
    Files.createDirectories(broken.resolve("checkpoint-6.incomplete/part"));
    Files.createDirectories(broken.resolve("checkpoint-3.deleting"));
    Files.writeString(
        broken.resolve(MetricsLog.FILE),
        "{\"step\":7,\"lo",
        java.nio.file.StandardOpenOption.APPEND);

    float[] got = weightsAfter(Settings.of(broken, 10, 2, 4, 5));
    assertThat(got).isEqualTo(want);
    assertThat(values(broken)).isEqualTo(values(whole)).hasSize(10);
    assertThat(folders(broken)).containsExactly("checkpoint-10", "checkpoint-5");
    for (String file :
        List.of("optimizer-00001-of-00001.safetensors", "delta.safetensors", "state.yaml")) {
      assertThat(broken.resolve("checkpoint-10").resolve(file))
          .hasSameBinaryContentAs(whole.resolve("checkpoint-10").resolve(file));
    }
    assertThat(broken.resolve("LATEST")).hasContent("checkpoint-10");
  }

  @Test
  void theLossFalls() throws IOException {
    List<StepReport> reports = new ArrayList<>();
    Settings settings = Settings.of(folder, 10, 2, 12, 0).evaluating(0, List.of(), reports::add);
    assertThat(weightsAfter(settings)).isNotEmpty();
    assertThat(reports.getLast().losses().loss())
        .isLessThan(0.9 * reports.getFirst().losses().loss());
    assertThat(reports).extracting(StepReport::step).containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    assertThat(reports.getLast().samplesSeen()).isEqualTo(240);
  }

  @Test
  void accumulatedMicroBatchesGiveTheGradientOfTheBigBatch() {
    float[] big = weightsAfter(Settings.of(folder.resolve("big"), 6, 1, 12, 0));
    float[] small = weightsAfter(Settings.of(folder.resolve("small"), 6, 3, 4, 0));
    assertThat(small).hasSameSizeAs(big);
    for (int i = 0; i < big.length; i++) {
      assertThat(small[i]).isCloseTo(big[i], within(2e-5f));
    }
  }

  @Test
  void theLossOfAStepIsTheMeanOverMicroBatchesNotOverSamples() {
    var many = new Losses(1, 1, 0.5, 30, 3, true);
    var one = new Losses(4, 3, 1.5, 10, 1, false);
    assertThat(Losses.mean(List.of(many, one))).isEqualTo(new Losses(2.5, 2, 1, 40, 4, true));
  }

  @Test
  void theOldestCheckpointsGoOnceANewOneIsWhole() throws IOException {
    weightsAfter(Settings.of(folder, 9, 1, 4, 2).limit(2));
    assertThat(folders(folder)).containsExactly("checkpoint-8", "checkpoint-9");
  }

  @Test
  void aLossThatIsNoNumberStopsTheRunAndLeavesTheWeights() throws IOException {
    int[] calls = {0};
    Settings settings =
        Settings.of(folder, 10, 2, 4, 0)
            .around(
                inner ->
                    new Altered(
                        inner,
                        l ->
                            ++calls[0] < 6
                                ? l
                                : new Losses(Double.NaN, 1, 0, l.tokens(), l.samples(), true)));
    try (var run = new TinyRun(settings)) {
      assertThatThrownBy(run.trainer::run)
          .isInstanceOf(DivergedException.class)
          .hasMessageStartingWith("step 3: the loss is NaN; no weight was changed in this step")
          .hasMessageContaining("diverged-step-3-rank-0.json");
      assertThat(run.trainer.done()).isEqualTo(2);
      float[] after = run.task.weights();
      assertThat(after).isEqualTo(weightsAfter(Settings.of(folder.resolve("two"), 2, 2, 4, 0)));
    }
    assertThat(Files.readString(folder.resolve("diverged-step-3-rank-0.json")))
        .contains("\"step\" : 3", "\"NaN\"", "sample-");
  }

  @Test
  void aGradientThatIsNoNumberStopsTheRunAndLeavesTheWeights() {
    var rows = new TinyBatches(24, 4, 3).rows(0, 1);
    Settings settings = Settings.of(folder, 10, 1, 4, 0);
    try (var run = new TinyRun(settings)) {
      float[] before = run.task.weights();
      run.task.backpropagate(run.optimizer.gradients(true), rows, Double.POSITIVE_INFINITY);
      assertThat(run.optimizer.step(1, 1).applied()).isFalse();
      assertThat(run.task.weights()).isEqualTo(before);
      assertThat(run.optimizer.step(1, 1).gradientNorm()).as("forgotten").isZero();
    }
  }

  @Test
  void aBatchWithNothingToTrainIsAStepWithoutGradientAndIsReported() {
    List<StepReport> reports = new ArrayList<>();
    var blank = new TinyTask.Rows(new float[8], new int[1], true, List.of("text"));
    Settings settings =
        Settings.of(folder, 2, 3, 4, 0)
            .batches(new Repeated(blank))
            .evaluating(0, List.of(), reports::add);
    try (var run = new TinyRun(settings)) {
      float[] before = run.task.weights();
      run.trainer.run();
      assertThat(run.task.weights()).isEqualTo(before);
    }
    assertThat(reports).extracting(StepReport::untrainedBatches).containsExactly(3, 3);
    assertThat(reports).extracting(StepReport::gradientNorm).containsExactly(0.0, 0.0);
    assertThat(reports.getFirst().losses().loss()).isCloseTo(Math.log(4), within(1e-6));
  }

  @Test
  void aResumedRunWithAnotherSeedIsRefusedByName() {
    weightsAfter(Settings.of(folder, 4, 1, 4, 2));
    assertThatThrownBy(() -> weightsAfter(Settings.of(folder, 8, 1, 4, 2).seed("8")))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("training.seed=8: was 7 in ")
        .hasMessageContaining("checkpoint-4");
  }

  @Test
  void aFreshRunDoesNotMixWithAnOlderOne() {
    weightsAfter(Settings.of(folder, 4, 1, 4, 2));
    try (var run = new TinyRun(Settings.of(folder, 4, 1, 4, 2))) {
      assertThatThrownBy(() -> run.store.find("none"))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("write auto to go on with it");
      assertThatThrownBy(() -> run.store.find(folder.resolve("checkpoint-3").toString()))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("is no whole checkpoint");
      assertThat(run.store.find(folder.resolve("checkpoint-2").toString()))
          .contains(folder.resolve("checkpoint-2"));
    }
  }

  @Test
  void evaluationIsTheMeanOverSamplesAndLeavesTheRunAsItWas() {
    var source = new TinyBatches(24, 4, 3);
    List<TinyTask.Rows> uneven = List.of(source.rows(0, 1, 2), source.rows(3));
    List<Losses> seen = new ArrayList<>();
    var listener =
        new TrainingListener() {
          @Override
          public void stepped(StepReport report) {}

          @Override
          public void evaluated(int step, Losses losses) {
            seen.add(losses);
          }
        };
    float[] want = weightsAfter(Settings.of(folder.resolve("a"), 6, 1, 4, 0));
    Settings settings = Settings.of(folder.resolve("b"), 6, 1, 4, 0);
    try (var run = new TinyRun(settings.evaluating(3, uneven, listener))) {
      run.trainer.run();
      assertThat(run.task.weights()).isEqualTo(want);
      assertThat(seen).hasSize(2);
      double all = run.task.evaluate(source.rows(0, 1, 2, 3)).loss();
      assertThat(seen.getLast().loss()).isCloseTo(all, within(1e-6));
    }
  }

  @Test
  void twoHundredStepsLeaveNoMemoryBehind() {
    try (var run = new TinyRun(Settings.of(folder, 200, 1, 4, 0))) {
      long before = run.backend.memory().liveBytes();
      run.trainer.run();
      // the model's products keep their packed matrices from the first step on
      assertThat(run.backend.memory().liveBytes() - before).isLessThan(4096);
    }
  }
}
