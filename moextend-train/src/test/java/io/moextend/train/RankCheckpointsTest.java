package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.config.ConfigException;
import io.moextend.train.TinyRun.Settings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What several ranks save is whole or not there, and one rank's trouble is known to all. */
@Timeout(120)
class RankCheckpointsTest {
  @TempDir Path folder;

  private static Settings settings(Path output, int steps, Peers peers) {
    return Settings.of(output, steps, 6 / peers.world(), 4, 2).peers(peers);
  }

  private static float[] run(Settings settings) {
    try (var run = new TinyRun(settings)) {
      run.resumed().trainer.run();
      return run.task.weights();
    }
  }

  private List<Throwable> refused(int world) throws Exception {
    return Ranks.failures(world, peers -> run(settings(folder, 6, peers)));
  }

  private static void allSay(List<Throwable> thrown, String... words) {
    assertThat(thrown)
        .allSatisfy(
            e ->
                assertThat(e)
                    .isInstanceOf(CheckpointException.class)
                    .satisfies(x -> assertThat(x.getMessage()).contains(words)));
  }

  @Test
  void aFlippedByteIsRefusedOnEveryRankWithItsTensorAndFile() throws Exception {
    Ranks.all(3, peers -> run(settings(folder, 4, peers)));
    Path file = folder.resolve("checkpoint-4/optimizer-00002-of-00003.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 3] ^= 16;
    Files.write(file, bytes);
    allSay(refused(2), "rank ", file.toString(), "out.weight[", "CRC-32C", "damaged");
    allSay(refused(1), file.toString(), "out.weight[");
    assertThat(refused(3)).hasSize(3);
  }

  @Test
  void aMissingFileIsNamedOnEveryRank() throws Exception {
    Ranks.all(3, peers -> run(settings(folder, 4, peers)));
    Files.delete(folder.resolve("checkpoint-4/optimizer-00003-of-00003.safetensors"));
    allSay(refused(2), "optimizer-00003-of-00003.safetensors: is missing");
  }

  /** A disk that is full for one rank, or when a step is reached. */
  private record Full(int rank, boolean sealing, int step) implements CheckpointPart {
    @Override
    public void save(Path into, Peers peers) throws IOException {
      if (!sealing && peers.rank() == rank && isStep(into)) {
        Files.writeString(into.resolve("half"), "hal");
        throw new IOException("No space left on device");
      }
    }

    @Override
    public void seal(Path into, Peers peers) throws IOException {
      assertThat(peers.rank()).isZero();
      if (sealing && isStep(into)) {
        throw new IOException("No space left on device");
      }
    }

    private boolean isStep(Path into) {
      return into.endsWith("checkpoint-%d.incomplete".formatted(step));
    }
  }

  private List<String> checkpoints() throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .map(p -> p.getFileName().toString())
          .filter(n -> n.matches("ch.*|L.*"))
          .sorted()
          .toList();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void aDiskThatIsFullForOneRankIsNamedOnAllAndLeavesNothingHalf(int rank) throws Exception {
    List<Throwable> thrown =
        Ranks.failures(3, peers -> run(settings(folder, 6, peers).part(new Full(rank, false, 4))));
    allSay(thrown, "rank " + rank + ": ", "checkpoint-4.incomplete", "No space left on device");
    assertThat(checkpoints()).containsExactly("LATEST", "checkpoint-2");
    assertThat(folder.resolve("LATEST")).hasContent("checkpoint-2");
    float[] resumed = Ranks.all(2, peers -> run(settings(folder, 6, peers))).getFirst();
    assertThat(resumed).isNotEmpty();
    assertThat(checkpoints())
        .containsExactly("LATEST", "checkpoint-2", "checkpoint-4", "checkpoint-6");
  }

  @Test
  void aDiskThatIsFullAtTheVeryEndOfACheckpointIsKnownToAll() throws Exception {
    List<Throwable> thrown =
        Ranks.failures(2, peers -> run(settings(folder, 6, peers).part(new Full(0, true, 4))));
    allSay(thrown, "rank 0: ", "checkpoint-4", "No space left on device");
    assertThat(checkpoints()).containsExactly("LATEST", "checkpoint-2");
  }

  @Test
  void allRanksGoOnWithWhatRankZeroFinds() throws Exception {
    run(settings(folder, 4, Peers.NONE));
    List<Path> found =
        Ranks.all(
            3,
            peers -> {
              Path seen = peers.rank() == 1 ? folder.resolve("late") : folder;
              return new CheckpointStore(seen, null, List.of(), peers).find("auto").orElseThrow();
            });
    assertThat(found).extracting(p -> p.getFileName().toString()).containsOnly("checkpoint-4");
  }

  @Test
  void aFreshRunIsRefusedOnEveryRankWhereThereIsAnOlderOne() throws Exception {
    run(settings(folder, 4, Peers.NONE));
    allSay(
        Ranks.failures(
            2, peers -> new CheckpointStore(folder, null, List.of(), peers).find("none")),
        "rank 0: ",
        "write auto to go on with it");
  }

  @Test
  void aFolderThatOneRankDoesNotShareIsNamed() throws Exception {
    Files.createDirectories(folder.resolve("own"));
    Duration patience = Duration.ofMillis(300);
    List<Throwable> thrown =
        Ranks.failures(
            3,
            peers -> {
              Path seen = peers.rank() == 2 ? folder.resolve("own") : folder;
              new SharedFolder(seen, peers, patience).requireShared();
              return seen;
            });
    assertThat(thrown)
        .allSatisfy(
            e ->
                assertThat(e)
                    .isInstanceOf(ConfigException.class)
                    .hasMessageStartingWith("checkpoints.output_dir=")
                    .hasMessageContaining("not seen by ranks [2]"));
    Ranks.all(
        3,
        peers -> {
          new SharedFolder(folder, peers, patience).requireShared();
          return true;
        });
    assertThat(folder.toFile().list()).containsExactly("own");
  }

  @Test
  void anotherGlobalBatchIsRefusedWithTheAccumulationThatWouldFit() {
    var then = new LinkedHashMap<String, String>();
    then.put("training.per_device_train_batch_size", "2");
    then.put(TrainConfig.GLOBAL_BATCH, "24");
    RunState state = RunState.of(4, 96, new BatchSource.Position(0, 0), then);
    var now = new LinkedHashMap<>(then);
    state.requireSame(folder, now, 3);
    now.put(TrainConfig.GLOBAL_BATCH, "16");
    assertThatThrownBy(() -> state.requireSame(folder, now, 4))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("training.global_batch=16: was 24 in ")
        .hasMessageContaining(
            "training.gradient_accumulation_steps: 3 makes it so with 4 ranks of 2 samples");
    assertThatThrownBy(() -> state.requireSame(folder, now, 5))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("no training.gradient_accumulation_steps makes it so with 5 ranks")
        .hasMessageContaining("a number of ranks that divides 12");
  }
}
