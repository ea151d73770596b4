package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.autograd.GradientSink;
import io.moextend.train.TinyRun.Settings;
import io.moextend.train.Trainer.Ending;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The loop on 1 to 4 ranks, each a thread, over the real collectives. */
@Timeout(120)
class ManyRanksTest {
  private static final int SAMPLES = 23; // no multiple of any batch
  private static final int ROWS = 2;
  private static final int TOGETHER = 12; // micro-batches of a step

  @TempDir Path folder;

  /** How a rank's run ended, what it was given, and its weights then. */
  private record Outcome(Ending ending, List<List<Integer>> taken, float[] weights) {}

  private static Settings settings(Path output, int steps, Peers peers) {
    return Settings.of(output, steps, TOGETHER / peers.world(), ROWS, 2).peers(peers);
  }

  private static Outcome run(Settings settings) {
    try (var batches = new StreamedBatches(SAMPLES, ROWS, settings.peers());
        var run = new TinyRun(settings.batches(batches))) {
      Ending ending = run.resumed().trainer.run();
      return new Outcome(ending, batches.taken, run.task.weights());
    }
  }

  private static List<Outcome> run(Path output, int steps, int world) throws Exception {
    return Ranks.all(world, peers -> run(settings(output, steps, peers)));
  }

  /** Micro-batches in the order of the stream: of each round the ranks' one after the other. */
  private static List<List<Integer>> stream(List<Outcome> ranks) {
    var all = new ArrayList<List<Integer>>();
    for (int round = 0; round < ranks.getFirst().taken.size(); round++) {
      for (Outcome rank : ranks) {
        all.add(rank.taken.get(round));
      }
    }
    return all;
  }

  private static void close(float[] got, float[] want) {
    assertThat(got).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      assertThat(got[i]).as("weight %d", i).isCloseTo(want[i], within(2e-5f));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4})
  void theSamplesOfEachStepAndTheWeightsAreThoseOfOneRank(int world) throws Exception {
    Outcome alone = run(folder.resolve("alone"), 4, 1).getFirst();
    List<Outcome> ranks = run(folder.resolve("ranks"), 4, world);
    assertThat(stream(ranks)).isEqualTo(alone.taken).hasSize(4 * TOGETHER);
    for (Outcome rank : ranks) {
      assertThat(rank.ending).isEqualTo(Ending.DONE);
      assertThat(rank.weights).isEqualTo(ranks.getFirst().weights);
      close(rank.weights, alone.weights);
    }
  }

  @Test
  void aRunThatChangesItsNumberOfRanksSeesEverySampleOnceAndInOrder() throws Exception {
    Outcome alone = run(folder.resolve("alone"), 8, 1).getFirst();
    Path output = folder.resolve("changing");
    var seen = new ArrayList<List<Integer>>();
    float[] weights = {};
    int steps = 0;
    for (int world : new int[] {3, 2, 4, 1}) {
      steps += 2;
      List<Outcome> ranks = run(output, steps, world);
      seen.addAll(stream(ranks));
      weights = ranks.getFirst().weights;
    }
    assertThat(seen).isEqualTo(alone.taken);
    List<Integer> samples = seen.stream().flatMap(List::stream).toList();
    for (int epoch = 0; (epoch + 1) * SAMPLES <= samples.size(); epoch++) {
      assertThat(samples.subList(epoch * SAMPLES, (epoch + 1) * SAMPLES)).doesNotHaveDuplicates();
    }
    close(weights, alone.weights);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4})
  void whatThreeRanksSavedAnyNumberReadsToTheBit(int world) throws Exception {
    Path output = folder.resolve("out");
    float[] saved = run(output, 4, 3).getFirst().weights;
    assertThat(output.resolve("checkpoint-4/optimizer-00003-of-00003.safetensors")).exists();
    assertThat(output.resolve("checkpoint-4/delta-00003-of-00003.safetensors")).exists();
    for (Outcome rank : run(output, 4, world)) {
      assertThat(rank.taken).isEmpty();
      assertThat(rank.weights).isEqualTo(saved);
    }
  }

  @Test
  void aRankThatIsAskedToStopTakesAllWithItAndTheRunGoesOnToTheSameBits() throws Exception {
    float[] whole = run(folder.resolve("whole"), 5, 2).getFirst().weights;
    Path output = folder.resolve("stopped");
    var asked = new AtomicInteger();
    List<Outcome> stopped =
        Ranks.all(
            2,
            peers ->
                run(
                    settings(output, 5, peers)
                        .stop(() -> peers.rank() == 1 && asked.incrementAndGet() == 3)));
    for (Outcome rank : stopped) {
      assertThat(rank.ending).isEqualTo(Ending.STOPPED);
      assertThat(rank.taken).hasSize(3 * TOGETHER / 2);
    }
    assertThat(output.resolve("LATEST")).hasContent("checkpoint-3");
    for (Outcome rank : run(output, 5, 2)) {
      assertThat(rank.ending).isEqualTo(Ending.DONE);
      assertThat(rank.weights).isEqualTo(whole);
    }
  }

  /** One rank's losses or gradients are no numbers in one micro-batch. */
  private record Wrong(Objective<TinyTask.Rows> inner, int[] callsLeft, double scale, double loss)
      implements Objective<TinyTask.Rows> {
    @Override
    public Losses backpropagate(GradientSink gradients, TinyTask.Rows batch, double given) {
      boolean now =
          --callsLeft[0] == 0 || callsLeft[0] == -TOGETHER / 3; // and when it is looked for
      Losses losses = inner.backpropagate(gradients, batch, now ? scale : given);
      return now && Double.isNaN(loss)
          ? new Losses(loss, 1, 0, losses.tokens(), losses.samples(), true)
          : losses;
    }

    @Override
    public Losses evaluate(TinyTask.Rows batch) {
      return inner.evaluate(batch);
    }
  }

  private List<Throwable> diverging(double scale, double loss, List<float[]> weights)
      throws Exception {
    return Ranks.failures(
        3,
        peers -> {
          Settings good = settings(folder, 5, peers);
          Settings bad =
              peers.rank() != 1
                  ? good
                  : good.around(i -> new Wrong(i, new int[] {TOGETHER / 3 + 2}, scale, loss));
          try (var batches = new StreamedBatches(SAMPLES, ROWS, peers);
              var run = new TinyRun(bad.batches(batches))) {
            try {
              return run.trainer.run();
            } finally {
              synchronized (weights) {
                weights.add(run.task.weights());
              }
            }
          }
        });
  }

  private void requireNamed(List<Throwable> thrown, List<float[]> weights, String message)
      throws Exception {
    for (int rank = 0; rank < 3; rank++) {
      String file = "diverged-step-2-rank-%d.json".formatted(rank);
      assertThat(thrown.get(rank))
          .isInstanceOf(DivergedException.class)
          .hasMessageStartingWith(message + "; no weight was changed in this step")
          .hasMessageContaining(file);
      assertThat(folder.resolve(file)).exists();
    }
    float[] before = run(folder.resolve("one"), 1, 3).getFirst().weights;
    assertThat(weights).hasSize(3).allSatisfy(w -> assertThat(w).isEqualTo(before));
  }

  @Test
  void aLossThatIsNoNumberIsNamedWithItsRankOnEveryRankInThatStep() throws Exception {
    var weights = new ArrayList<float[]>();
    List<Throwable> thrown = diverging(1, Double.NaN, weights);
    requireNamed(thrown, weights, "step 2: the loss of rank 1 is NaN");
  }

  @Test
  void aGradientThatIsNoNumberIsNamedWithItsRankAndParameter() throws Exception {
    var weights = new ArrayList<float[]>();
    List<Throwable> thrown = diverging(Double.POSITIVE_INFINITY, 1, weights);
    requireNamed(thrown, weights, "step 2: the gradient of rank 1 has the norm NaN");
    JsonNode evidence =
        new JsonMapper().readTree(folder.resolve("diverged-step-2-rank-1.json").toFile());
    assertThat(evidence.at("/ranks").toString()).isEqualTo("[1]");
    assertThat(evidence.at("/wrongGradients/0").asText()).startsWith("micro-batch 2: ");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4})
  void anEvaluationIsThatOfOneRankToTheBitAndAllRanksComputeAsOften(int world) throws Exception {
    var source = new TinyBatches(24, 4, 3);
    List<TinyTask.Rows> uneven =
        List.of(
            source.rows(0, 1, 2),
            source.rows(3),
            source.rows(4, 5),
            source.rows(6, 7, 8, 9),
            source.rows(10, 11));
    Losses want;
    try (var run = new TinyRun(settings(folder, 1, Peers.NONE))) {
      want = new Evaluation<>(run.task, uneven, Peers.NONE).run();
    }
    List<Integer> calls =
        Ranks.all(
            world,
            peers -> {
              var count = new AtomicInteger();
              try (var run = new TinyRun(settings(folder, 1, peers))) {
                var counted = new Counted(run.task, count);
                assertThat(new Evaluation<>(counted, uneven, peers).run()).isEqualTo(want);
              }
              return count.get();
            });
    assertThat(calls).containsOnly(Math.ceilDiv(5, world));
    assertThat(want.samples()).isEqualTo(12);
  }

  private record Counted(Objective<TinyTask.Rows> inner, AtomicInteger count)
      implements Objective<TinyTask.Rows> {
    @Override
    public Losses backpropagate(GradientSink gradients, TinyTask.Rows batch, double scale) {
      throw new AssertionError("nothing trains here");
    }

    @Override
    public Losses evaluate(TinyTask.Rows batch) {
      count.incrementAndGet();
      return inner.evaluate(batch);
    }
  }

  @Test
  void metricsHaveEveryRanksMemoryAndAreWrittenOnce() throws Exception {
    run(folder, 2, 3);
    List<String> lines = Files.readAllLines(folder.resolve(MetricsLog.FILE));
    assertThat(lines).hasSize(2);
    assertThat(metric(lines, 0).at("/memory_per_rank")).hasSize(3);
    assertThat(metric(lines, 1).at("/memory_per_rank/2").asLong()).isPositive();
    assertThat(metric(lines, 1).at("/samples").asInt()).isEqualTo(2 * ROWS * TOGETHER);
  }

  private static JsonNode metric(List<String> lines, int line) throws IOException {
    return new JsonMapper().readTree(lines.get(line));
  }
}
