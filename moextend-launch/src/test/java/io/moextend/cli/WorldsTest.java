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
import java.util.stream.IntStream;
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
    List<Patience> vigils =
        IntStream.range(0, world).mapToObj(r -> new Patience(r, Duration.ofMinutes(1))).toList();
    List<InProcessTransport> wires = InProcessTransport.group(world, vigils::get);
    try (ExecutorService threads = Executors.newFixedThreadPool(world)) {
      var ranks = new ArrayList<Future<Trainer.Ending>>();
      for (InProcessTransport wire : wires) {
        ranks.add(threads.submit(() -> rank(stage, config, wire, vigils.get(wire.rank()))));
      }
      for (Future<Trainer.Ending> rank : ranks) {
        assertThat(rank.get()).isEqualTo(Trainer.Ending.DONE);
      }
    }
    return output;
  }

  private static Trainer.Ending rank(
      String stage, TrainConfig config, InProcessTransport wire, Vigil vigil) {
    var silent = new PrintStream(PrintStream.nullOutputStream());
    var collective = new DirectCollective(wire, vigil);
    try (RankGroup group =
        wire.world() == 1
            ? RankGroup.alone(() -> false)
            : RankGroup.within(collective, () -> false)) {
      return new TrainingRun(Stage.named(stage), config, group, silent, Progress.Display.QUIET)
          .run();
    }
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
    assertThat(losses(second)).isEqualTo(losses(first));
  }

  private static void same(Path wanted, Path got) throws IOException {
    List<Double> before = losses(wanted);
    List<Double> after = losses(got);
    assertThat(after).hasSize(STEPS);
    for (int i = 0; i < STEPS; i++) {
      assertThat(after.get(i))
          .as("%s, loss of step %d", got, i + 1)
          .isCloseTo(before.get(i), withinPercentage(100 * TOLERANCE));
    }
    try (WeightSource one = CheckpointFolder.open(wanted.resolve("model"));
        WeightSource other = CheckpointFolder.open(got.resolve("model"))) {
      assertThat(other.names()).isEqualTo(one.names());
      for (String name : one.names()) {
        assertThat(distance(one.tensor(name), other.tensor(name)))
            .as("%s, %s", got, name)
            .isLessThan(TOLERANCE);
      }
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

  private static List<Double> losses(Path output) throws IOException {
    var losses = new ArrayList<Double>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      losses.add(new JsonMapper().readTree(line).get("loss").asDouble());
    }
    return losses;
  }
}
