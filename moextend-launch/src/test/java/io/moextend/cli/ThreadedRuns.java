package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.comm.DirectCollective;
import io.moextend.comm.InProcessTransport;
import io.moextend.comm.Patience;
import io.moextend.comm.Vigil;
import io.moextend.stage.Stage;
import io.moextend.train.AdaptConfig;
import io.moextend.train.Progress;
import io.moextend.train.TrainConfig;
import io.moextend.train.Trainer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/** Runs whose ranks are threads of this process, and what two of them left compared. */
final class ThreadedRuns {
  private static final PrintStream SILENT = new PrintStream(PrintStream.nullOutputStream());

  private ThreadedRuns() {}

  /** To the end of the run. */
  static void train(String stage, TrainConfig config, int world) throws Exception {
    train(
        world,
        group ->
            new TrainingRun(Stage.named(stage), config, group, SILENT, Progress.Display.QUIET)
                .run());
  }

  /** As above, of a model that is adapted. */
  static void train(AdaptConfig config, int world) throws Exception {
    train(world, group -> new AdaptRun(config, group, SILENT, Progress.Display.QUIET).run());
  }

  /** One run, whose ranks may each be told something else. */
  static void train(int world, Function<RankGroup, Trainer.Ending> run) throws Exception {
    List<Patience> vigils =
        IntStream.range(0, world).mapToObj(r -> new Patience(r, Duration.ofMinutes(1))).toList();
    List<InProcessTransport> wires = InProcessTransport.group(world, vigils::get);
    try (ExecutorService threads = Executors.newFixedThreadPool(world)) {
      var ranks = new ArrayList<Future<Trainer.Ending>>();
      for (InProcessTransport wire : wires) {
        ranks.add(threads.submit(() -> rank(run, wire, vigils.get(wire.rank()))));
      }
      for (Future<Trainer.Ending> rank : ranks) {
        assertThat(rank.get()).isEqualTo(Trainer.Ending.DONE);
      }
    }
  }

  private static Trainer.Ending rank(
      Function<RankGroup, Trainer.Ending> run, InProcessTransport wire, Vigil vigil) {
    var collective = new DirectCollective(wire, vigil);
    try (RankGroup group =
        wire.world() == 1
            ? RankGroup.alone(() -> false)
            : RankGroup.within(collective, () -> false)) {
      return run.apply(group);
    }
  }

  /**
   * Losses of each step and all weights.
   *
   * @param tolerance relative
   * @param compared names of the tensors that are
   */
  static void requireSame(Path wanted, Path got, double tolerance, Predicate<String> compared)
      throws IOException {
    requireSameLosses(wanted, got, tolerance);
    try (WeightSource one = CheckpointFolder.open(wanted.resolve("model"));
        WeightSource other = CheckpointFolder.open(got.resolve("model"))) {
      requireSame(one, other, tolerance, compared);
    }
  }

  static void requireSameLosses(Path wanted, Path got, double tolerance) throws IOException {
    List<Double> before = losses(wanted);
    List<Double> after = losses(got);
    assertThat(after).hasSameSizeAs(before);
    for (int i = 0; i < before.size(); i++) {
      assertThat(after.get(i))
          .as("%s, loss of step %d", got, i + 1)
          .isCloseTo(before.get(i), withinPercentage(100 * tolerance));
    }
  }

  static void requireSame(
      WeightSource wanted, WeightSource got, double tolerance, Predicate<String> compared) {
    assertThat(got.names()).isEqualTo(wanted.names());
    for (String name : wanted.names().stream().filter(compared).toList()) {
      assertThat(distance(wanted.tensor(name), got.tensor(name)))
          .as("%s, %s", got.origin(), name)
          .isLessThan(tolerance);
    }
  }

  /** Root of the squared differences over root of the squares. */
  private static double distance(TensorData a, TensorData b) {
    float[] x = a.floats();
    float[] y = b.floats();
    double difference = 0;
    double whole = 0;
    for (int i = 0; i < x.length; i++) {
      difference += ((double) x[i] - y[i]) * ((double) x[i] - y[i]);
      whole += (double) x[i] * x[i];
    }
    return difference == 0 ? 0 : Math.sqrt(difference / whole);
  }

  static List<Double> losses(Path output) throws IOException {
    var losses = new ArrayList<Double>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      losses.add(new JsonMapper().readTree(line).get("loss").asDouble());
    }
    return losses;
  }
}
